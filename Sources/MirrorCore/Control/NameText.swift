/// Names are bytes from outside: they may hold line breaks, terminal escapes, or no UTF-8 at all.
/// Every output shows them through here.
public enum NameText {
    /// `name` on one line of harmless text: what is not a visible character becomes `\xHH` for each
    /// of its bytes, a backslash becomes two. Two different names never look the same.
    public static func shown(_ name: [UInt8]) -> String {
        var text = ""
        for piece in pieces(name) {
            switch piece {
            case .character("\\"): text += "\\\\"
            case .character(let scalar) where isVisible(scalar): text.unicodeScalars.append(scalar)
            case .character(let scalar): text += hex(Array(String(scalar).utf8))
            case .bytes(let bytes): text += hex(bytes)
            }
        }
        return text
    }

    /// `text`, which may have come through `shown` already, without anything that would move the
    /// cursor or start a line. Harmless to apply twice.
    public static func harmless(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if isVisible(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += hex(Array(String(scalar).utf8))
            }
        }
        return result
    }

    /// A piece of a name: a character, or bytes that are not UTF-8.
    enum Piece: Equatable {
        case character(Unicode.Scalar)
        case bytes([UInt8])
    }

    /// `name` cut into characters and stray bytes; together they are the name again.
    static func pieces(_ name: [UInt8]) -> [Piece] {
        var (pieces, parser, input) = ([Piece](), Unicode.UTF8.ForwardParser(), name.makeIterator())
        var position = 0
        while true {
            switch parser.parseScalar(from: &input) {
            case .valid(let encoded):
                pieces.append(.character(Unicode.UTF8.decode(encoded)))
                position += encoded.count
            case .error(let length):
                pieces.append(.bytes(Array(name[position..<position + length])))
                position += length
            case .emptyInput: return pieces
            }
        }
    }

    /// Whether a terminal shows the character and does nothing else with it.
    static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return (0x20..<0x7f).contains(scalar.value) }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned: return false
        default: return true
        }
    }

    /// `\xHH` for each byte.
    static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
