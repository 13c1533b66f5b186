extension HeaderBytes {
    /// VHD: a dynamic or differencing disk begins with a copy of its footer; disk type 4 (byte 60,
    /// big-endian) is differencing.
    var vhd: String? {
        guard has("conectix", at: 0), bigEndian(60, 4) == 4 else { return nil }
        return "a VHD parent \(vhdParentName)"
    }

    /// The parent's name in UTF-16, big-endian, at byte 64 of the dynamic header, whose place stands
    /// at byte 16 of the footer.
    private var vhdParentName: String {
        guard let header = bigEndian(16, 8), has("cxsparse", at: header),
            let name = slice(header + 64, 512)
        else { return "whose name cannot be read" }
        let units = stride(from: 0, to: 512, by: 2).map {
            UInt16(name[$0]) << 8 | UInt16(name[$0 + 1])
        }
        return NameText.harmless(String(decoding: units.prefix { $0 != 0 }, as: UTF16.self))
    }

    /// VHDX: the region table (at 192 KiB) leads to the metadata table, that to the file parameters,
    /// whose flag 2 is HasParent. What cannot be read counts as a reference: better refused than a
    /// twin that does not open.
    var vhdx: String? {
        guard has("vhdxfile", at: 0) else { return nil }
        guard let metadata = vhdxMetadata, let flags = vhdxFlags(metadata) else {
            return "a VHDX parent, perhaps: its metadata cannot be read"
        }
        return flags & 2 == 0 ? nil : "a VHDX parent"
    }

    /// Offset of the metadata region. Entries of 32 bytes after a header of 16: id, offset, length.
    private var vhdxMetadata: UInt64? {
        entry(of: Self.metadataRegion, at: 192 << 10, signature: "regi", header: 16, countAt: 8, 4)
            .flatMap { littleEndian($0 + 16, 8) }
    }

    /// Entries of 32 bytes after a header of 32: id, offset within the region, length.
    private func vhdxFlags(_ metadata: UInt64) -> UInt64? {
        guard metadata < 1 << 62 else { return nil }
        return entry(
            of: Self.fileParameters, at: metadata, signature: "metadata", header: 32, countAt: 10, 2
        )
        .flatMap { littleEndian($0 + 16, 4) }
        .flatMap { littleEndian(metadata + $0 + 4, 4) }
    }

    /// Where the table's entry with that id is.
    private func entry(
        of id: [UInt8], at table: UInt64, signature: String, header: UInt64, countAt: UInt64,
        _ countSize: UInt64
    ) -> UInt64? {
        guard has(signature, at: table), let count = littleEndian(table + countAt, countSize) else {
            return nil
        }
        // Both tables hold at most 2047 entries.
        return (0..<min(count, 2047)).lazy.map { table + header + $0 * 32 }
            .first { slice($0, 16) == id }
    }

    /// 8B7CA206-4790-4B9A-B8FE-575F050F886E
    private static let metadataRegion: [UInt8] = [
        0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88,
        0x6e,
    ]
    /// CAA16737-FA36-4D43-B3B6-33F0AA44E76B
    private static let fileParameters: [UInt8] = [
        0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7,
        0x6b,
    ]
}
