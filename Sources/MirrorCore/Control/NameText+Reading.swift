extension NameText {
    /// The name that `shown` made `text` of; nil where it made none such.
    public static func name(shown text: String) -> [UInt8]? {
        var (name, rest) = ([UInt8](), Array(text.utf8)[...])
        while let byte = rest.popFirst() {
            guard byte == backslash else {
                name.append(byte)
                continue
            }
            guard let escaped = readEscape(&rest) else { return nil }
            name.append(escaped)
        }
        return name
    }

    private static let backslash = UInt8(ascii: "\\")

    /// What stands after a backslash: another one, or `xHH`.
    private static func readEscape(_ rest: inout ArraySlice<UInt8>) -> UInt8? {
        switch rest.popFirst() {
        case backslash: return backslash
        case UInt8(ascii: "x"):
            let digits = rest.prefix(2)
            rest = rest.dropFirst(2)
            guard digits.count == 2 else { return nil }
            return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        default: return nil
        }
    }
}
