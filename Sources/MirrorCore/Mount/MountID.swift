/// What a mount's state is filed under: the same for the same source directory, on every run.
public enum MountID {
    /// The id for a source directory: the last component of its path made harmless, a dash, and 16
    /// hexadecimal digits that follow from the whole path. `/srv/images` is
    /// `images-cf37f5bf50c72e0e`.
    ///
    /// - Parameter source: absolute, without symbolic links and without a slash at its end.
    public static func of(_ source: [UInt8]) -> String {
        let digits = String(hash(source), radix: 16)
        return name(source) + "-" + String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// At most 64 characters, so that the id is a file's name on every filesystem.
    private static func name(_ source: [UInt8]) -> String {
        guard let last = source.split(separator: UInt8(ascii: "/")).last else { return "root" }
        let harmless = last.prefix(64).enumerated().map { index, byte in
            let isHidden = index == 0 && byte == UInt8(ascii: ".")
            return isHidden || CheckpointName.parse([UInt8(ascii: "a"), byte]) == nil
                ? UInt8(ascii: "_") : byte
        }
        return String(decoding: harmless, as: UTF8.self)
    }

    /// FNV-1a with 64 bits: not for secrets, only to tell directories apart.
    static func hash(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
