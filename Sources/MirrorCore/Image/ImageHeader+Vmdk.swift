extension HeaderBytes {
    /// VMDK: a text descriptor, or a sparse extent with the descriptor inside (its first sector at
    /// byte 28, its sectors at 36, little-endian, 512 bytes each).
    var vmdk: String? {
        if has("KDMV", at: 0) { return embeddedDescriptor.flatMap { Self.parent($0) } }
        guard isDescriptor else { return nil }
        let lines = Self.lines(upTo(.max, from: 0))
        return Self.parent(lines) ?? Self.extent(lines)
    }

    private var isDescriptor: Bool {
        let start = upTo(4096, from: 0).drop { $0 <= 0x20 }
        let signature = "# disk descriptorfile"
        return String(decoding: start.prefix(signature.utf8.count), as: UTF8.self).lowercased()
            == signature
    }

    /// The text up to its first zero byte; in practice it starts in the second sector.
    private var embeddedDescriptor: [ArraySlice<UInt8>]? {
        guard let sector = littleEndian(28, 8), sector != 0, sector < 1 << 40,
            let sectors = littleEndian(36, 8)
        else { return nil }
        return Self.lines(upTo(min(sectors, 128) * 512, from: sector * 512))
    }

    private static func lines(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
        text.prefix { $0 != 0 }.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
    }

    /// `parentFileNameHint="…"`, or a `parentCID` other than `ffffffff`.
    private static func parent(_ lines: [ArraySlice<UInt8>]) -> String? {
        if let line = lines.first(where: { starts($0, "parentfilenamehint") }) {
            return "a VMDK parent \(quoted(line))"
        }
        guard let line = lines.first(where: { starts($0, "parentcid") }),
            let value = line.split(separator: UInt8(ascii: "=")).dropFirst().first
        else { return nil }
        let id = String(decoding: value, as: UTF8.self).lowercased().filter { !$0.isWhitespace }
        return id == "ffffffff" ? nil : "a VMDK parent with the content id \(NameText.harmless(id))"
    }

    /// An extent line, `RW 4192256 SPARSE "disk-s001.vmdk"`: its data lies in that file.
    private static func extent(_ lines: [ArraySlice<UInt8>]) -> String? {
        let extent = lines.first { line in
            ["rw ", "rdonly ", "noaccess "].contains { starts(line, $0) }
                && line.contains(UInt8(ascii: "\""))
        }
        return extent.map { "a VMDK extent \(quoted($0))" }
    }

    private static func starts(_ line: ArraySlice<UInt8>, _ word: String) -> Bool {
        let line = line.drop { $0 == 0x20 || $0 == 0x09 }
        return String(decoding: line.prefix(word.utf8.count), as: UTF8.self).lowercased() == word
    }

    /// What stands between the first two double quotes.
    private static func quoted(_ line: ArraySlice<UInt8>) -> String {
        let quote = UInt8(ascii: "\"")
        guard let start = line.firstIndex(of: quote) else { return "whose name cannot be read" }
        return NameText.shown(Array(line[(start + 1)...].prefix { $0 != quote }))
    }
}
