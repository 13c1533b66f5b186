/// VHDX: the region table leads to the metadata table, that to the file parameters and the parent
/// locator. Little-endian.
extension HeaderReader {
    func vhdxReferences() throws(Unreadable) -> [ImageReference] {
        let metadata = try vhdxMetadata()
        guard let parameters = try vhdxItem(VhdxID.fileParameters, metadata) else {
            throw Unreadable("its VHDX metadata lacks the file parameters")
        }
        // Flag 2 is HasParent.
        guard try littleEndian(parameters + 4, 4) & 2 != 0 else { return [] }
        guard let locator = try vhdxItem(VhdxID.parentLocator, metadata) else {
            throw Unreadable("its VHDX metadata has a parent, and does not name it")
        }
        return [.init(.parent, try vhdxParentName(locator))]
    }

    /// Where the metadata region starts. The region table is at 192 KiB, its copy at 256 KiB; after
    /// a header of 16 bytes come entries of id, offset, length and flags, 32 bytes each.
    private func vhdxMetadata() throws(Unreadable) -> UInt64 {
        for table: UInt64 in [192 << 10, 256 << 10] where try has("regi", at: table) {
            let count = try littleEndian(table + 8, 4)
            if let entry = try vhdxEntry(VhdxID.metadataRegion, table + 16, count) {
                return try believable(entry.dropFirst(16).littleEndian)
            }
        }
        throw Unreadable("its VHDX region table leads to no metadata")
    }

    /// Where an item of the metadata is. After a header of 32 bytes come entries of id, offset
    /// within the region, length and flags, 32 bytes each.
    private func vhdxItem(_ id: [UInt8], _ metadata: UInt64) throws(Unreadable) -> UInt64? {
        guard try has("metadata", at: metadata) else {
            throw Unreadable("its VHDX metadata is not where its region table says")
        }
        let count = try littleEndian(metadata + 10, 2)
        return try vhdxEntry(id, metadata + 32, count).map { entry in
            metadata + entry.dropFirst(16).prefix(4).littleEndian
        }
    }

    /// The entry with that id; both tables hold at most 2047.
    private func vhdxEntry(
        _ id: [UInt8], _ first: UInt64, _ count: UInt64
    ) throws(Unreadable) -> ArraySlice<UInt8>? {
        guard count <= 2047 else { throw Unreadable("its VHDX tables are damaged") }
        let table = try slice(first, count * 32)
        return stride(from: 0, to: table.count, by: 32).lazy.map { table[$0..<$0 + 32] }
            .first { $0.starts(with: id) }
    }

    private func believable(_ offset: UInt64) throws(Unreadable) -> UInt64 {
        guard offset < Self.farthest / 2 else {
            throw Unreadable("its VHDX header points past any file")
        }
        return offset
    }

    /// The relative one of the parent's names; else an absolute one, for the message that refuses
    /// it.
    private func vhdxParentName(_ locator: UInt64) throws(Unreadable) -> [UInt8] {
        let names = try vhdxLocator(locator)
        for key in ["relative_path", "volume_path", "absolute_win32_path"] {
            if let name = names[key], !name.isEmpty { return name }
        }
        throw Unreadable("its VHDX parent locator names no file")
    }

    /// Keys and values, UTF-16. After a type of 16 bytes and two of nothing comes their count; then
    /// entries of 12 bytes: offsets within the item of key and value, and their lengths.
    private func vhdxLocator(_ item: UInt64) throws(Unreadable) -> [String: [UInt8]] {
        let count = try littleEndian(item + 18, 2)
        guard count <= 64 else { throw Unreadable("its VHDX parent locator is damaged") }
        let table = try slice(item + 20, count * 12)
        var names: [String: [UInt8]] = [:]
        for entry in stride(from: 0, to: table.count, by: 12).map({ table[$0..<$0 + 12] }) {
            let key = try vhdxText(
                item + entry.littleEndian32(0), entry.dropFirst(8).prefix(2).littleEndian)
            let value = try vhdxText(
                item + entry.littleEndian32(4), entry.dropFirst(10).prefix(2).littleEndian)
            names[String(decoding: key, as: UTF8.self)] = value
        }
        return names
    }

    private func vhdxText(_ offset: UInt64, _ length: UInt64) throws(Unreadable) -> [UInt8] {
        guard length <= WindowsName.longest else {
            throw Unreadable("its VHDX parent locator has a name of \(length) bytes")
        }
        return WindowsName.utf8(try slice(offset, length), isBigEndian: false)
    }
}

extension ArraySlice<UInt8> {
    /// The 4 bytes from `index` on (counted from the slice's start) as a number.
    fileprivate func littleEndian32(_ index: Int) -> UInt64 {
        dropFirst(index).prefix(4).littleEndian
    }
}

/// Ids of VHDX in the byte order of the file.
private enum VhdxID {
    /// 8B7CA206-4790-4B9A-B8FE-575F050F886E
    static let metadataRegion: [UInt8] = [
        0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88,
        0x6e,
    ]
    /// CAA16737-FA36-4D43-B3B6-33F0AA44E76B
    static let fileParameters: [UInt8] = [
        0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7,
        0x6b,
    ]
    /// A8D35F2D-B30B-454D-ABF7-D3D84834AB0C
    static let parentLocator: [UInt8] = [
        0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab,
        0x0c,
    ]
}
