/// The words of a control line, and how to write them.
///
/// Words are separated by blanks (spaces and tabs). A backslash takes the meaning from the next
/// character, or stands with it for a byte: `\n \t \r \\ \" \  \= \xHH`. Between double quotes
/// blanks and `=` are ordinary. One newline may end the line. The line is UTF-8; a name that is not
/// is written with `\xHH`. Example: `mirror "vm 1.img" target=/backup/vm\ 1.img`.
public enum ControlLine {
    /// Longest line in bytes, without its newline: two paths of PATH_MAX, escaped, and parameters.
    public static let maxBytes = 16384

    /// A word without its quoting.
    struct Word: Equatable {
        var bytes: [UInt8] = []
        /// Position in `bytes` of the first `=` that was neither escaped nor quoted.
        var equals: Int?

        /// What stands before and after the `=`.
        var pair: ParameterPair? {
            guard let equals else { return nil }
            return ParameterPair(key: Array(bytes[..<equals]), value: Array(bytes[(equals + 1)...]))
        }
    }

    /// `word` written so that it is read back as exactly these bytes, as one word without a bare
    /// `=`.
    public static func quote(_ word: [UInt8]) -> String {
        if word.isEmpty { return "\"\"" }
        return NameText.pieces(word).map(quote).joined()
    }

    private static func quote(_ piece: NameText.Piece) -> String {
        switch piece {
        case .bytes(let bytes): NameText.hex(bytes)
        case .character("\n"): "\\n"
        case .character("\t"): "\\t"
        case .character(let scalar) where "\\\" =".unicodeScalars.contains(scalar): "\\\(scalar)"
        case .character(let scalar) where NameText.isVisible(scalar): String(scalar)
        case .character(let scalar): NameText.hex(Array(String(scalar).utf8))
        }
    }

    /// The words of `line`.
    static func words(_ line: [UInt8]) throws(CommandError) -> [Word] {
        var line = line[...]
        if line.last == UInt8(ascii: "\n") { line.removeLast() }
        guard line.count <= maxBytes else {
            throw CommandError(
                .tooLong, "the line has \(line.count) bytes; at most \(maxBytes) are read")
        }
        guard String(validating: line, as: UTF8.self) != nil else {
            throw CommandError(
                .notUTF8, "the line is not UTF-8; write other bytes of a name as \\xHH")
        }
        var reader = WordReader(rest: line)
        var words: [Word] = []
        while let word = try reader.next() { words.append(word) }
        return words
    }
}

/// Takes one word after the other from a line.
private struct WordReader {
    var rest: ArraySlice<UInt8>

    mutating func next() throws(CommandError) -> ControlLine.Word? {
        rest = rest.drop(while: Self.isBlank)
        guard let first = rest.first, !Self.isBlank(first) else { return nil }
        var (word, quoted) = (ControlLine.Word(), false)
        while let byte = rest.first, quoted || !Self.isBlank(byte) {
            rest.removeFirst()
            switch byte {
            case UInt8(ascii: "\""): quoted.toggle()
            case UInt8(ascii: "\\"): word.bytes.append(try escaped())
            case UInt8(ascii: "\n"), 0: throw Self.lineBreak
            default: Self.add(byte, quoted, to: &word)
            }
        }
        if quoted { throw CommandError(.badSyntax, "a double quote is not closed; add \"") }
        return word
    }

    private static func add(_ byte: UInt8, _ quoted: Bool, to word: inout ControlLine.Word) {
        if byte == UInt8(ascii: "="), !quoted, word.equals == nil { word.equals = word.bytes.count }
        word.bytes.append(byte)
    }

    /// The byte that an escape stands for; the backslash is already taken.
    private mutating func escaped() throws(CommandError) -> UInt8 {
        guard let letter = rest.popFirst() else {
            throw CommandError(.badSyntax, "the line ends in a backslash; write \\\\ for one")
        }
        switch letter {
        case UInt8(ascii: "n"): return UInt8(ascii: "\n")
        case UInt8(ascii: "t"): return UInt8(ascii: "\t")
        case UInt8(ascii: "r"): return UInt8(ascii: "\r")
        case UInt8(ascii: "x"): return try hexadecimal()
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: " "), UInt8(ascii: "="):
            return letter
        default: throw Self.unknownEscape(letter)
        }
    }

    private mutating func hexadecimal() throws(CommandError) -> UInt8 {
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.allSatisfy(Self.isHexDigit),
            let byte = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), byte != 0
        else {
            throw CommandError(.badSyntax, "\\x needs two hexadecimal digits that are not 00")
        }
        rest.removeFirst(2)
        return byte
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        Unicode.Scalar(byte).properties.isASCIIHexDigit
    }

    private static func unknownEscape(_ letter: UInt8) -> CommandError {
        CommandError(
            .badSyntax,
            "\\\(NameText.shown([letter])) means nothing; known are \\n \\t \\r \\\\ \\\" \\= \\xHH and"
                + " backslash blank")
    }

    private static let lineBreak = CommandError(
        .badSyntax,
        "the line holds a newline or NUL byte; write one command a line, and \\n in a name")
}
