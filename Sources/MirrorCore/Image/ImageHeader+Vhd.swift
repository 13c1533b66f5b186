/// VHD: a dynamic or differencing disk begins with a copy of its footer; a fixed one does not, and
/// refers to nothing. Big-endian.
extension HeaderReader {
    /// Disk type 4 (byte 60) is differencing. The dynamic header's place stands at byte 16.
    func vhdReferences() throws(Unreadable) -> [ImageReference] {
        guard try bigEndian(60, 4) == 4 else { return [] }
        let header = try bigEndian(16, 8)
        guard try has("cxsparse", at: header) else {
            throw Unreadable("its VHD header has no part that names its parent")
        }
        for name in [
            try vhdLocator("W2ru", header), try vhdUnicodeName(header),
            try vhdLocator("W2ku", header),
        ] where !name.isEmpty {
            return [.init(.parent, name)]
        }
        throw Unreadable("its VHD header does not name its parent")
    }

    /// The parent's name, UTF-16 in big-endian order, at byte 64.
    private func vhdUnicodeName(_ header: UInt64) throws(Unreadable) -> [UInt8] {
        WindowsName.utf8(try slice(header + 64, 512), isBigEndian: true)
    }

    /// A parent's name for one platform, `W2ru` (relative) or `W2ku` (absolute): UTF-16, least
    /// significant byte first as Windows writes it. Eight entries of 24 bytes at byte 576: code,
    /// space, length, nothing, offset. Empty where there is none.
    private func vhdLocator(_ code: String, _ header: UInt64) throws(Unreadable) -> [UInt8] {
        let table = try slice(header + 576, 8 * 24)
        for entry in stride(from: 0, to: table.count, by: 24).map({ table[$0..<$0 + 24] })
        where entry.starts(with: code.utf8) {
            let length = entry.dropFirst(8).prefix(4).bigEndian
            guard length <= WindowsName.longest else {
                throw Unreadable("its VHD header has a name of \(length) bytes")
            }
            let name = try slice(entry.dropFirst(16).bigEndian, length)
            return WindowsName.utf8(name, isBigEndian: false)
        }
        return []
    }
}

/// Names of files as Windows writes them.
enum WindowsName {
    /// Bytes of the longest name in UTF-16: 32767 characters would be allowed, no Linux path is
    /// longer than 4096 bytes.
    static let longest: UInt64 = 8192

    /// UTF-16 up to its first zero, as UTF-8 with slashes.
    static func utf8(_ bytes: [UInt8], isBigEndian: Bool) -> [UInt8] {
        let units = stride(from: 0, to: bytes.count / 2 * 2, by: 2).map { index in
            let (first, second) = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
            return isBigEndian ? first << 8 | second : second << 8 | first
        }
        return String(decoding: units.prefix { $0 != 0 }, as: UTF16.self).utf8.map {
            $0 == UInt8(ascii: "\\") ? UInt8(ascii: "/") : $0
        }
    }
}
