/// Names of checkpoints: words that need no quoting anywhere, and are names of files.
public enum CheckpointName {
    /// The end of a sentence that begins with "must be a name".
    static let rule = "1 to 64 of A-Z a-z 0-9 . _ - and no dot in front"

    private static let others = Array("._-".utf8)

    /// The name that `bytes` are; nil where they are none.
    public static func parse(_ bytes: [UInt8]) -> String? {
        guard (1...64).contains(bytes.count), bytes[0] != UInt8(ascii: "."),
            bytes.allSatisfy(isAllowed)
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: others.contains(byte)
        }
    }
}
