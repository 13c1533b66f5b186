/// qcow, qcow2 and QED: a backing file, and for qcow2 an external data file.
extension HeaderReader {
    /// qcow has version 1; qcow2 has 2 and 3. Big-endian.
    func qcowReferences() throws(Unreadable) -> [ImageReference] {
        switch try bigEndian(4, 4) {
        case 0: return []
        case 1: return try backingFile(isRaw: false)
        case 2: return try qcow2References(headerLength: 72, features: 0)
        case 3:
            return try qcow2References(
                headerLength: try bigEndian(100, 4), features: try bigEndian(72, 8))
        case let version:
            throw Unreadable("its qcow2 header has version \(version), which is not known here")
        }
    }

    /// The data file first: it belongs to the image itself.
    private func qcow2References(
        headerLength: UInt64, features: UInt64
    ) throws(Unreadable) -> [ImageReference] {
        let clusterBits = try bigEndian(20, 4)
        guard 9...21 ~= clusterBits else { throw Unreadable("its qcow2 header is damaged") }
        let cluster = UInt64(1) << clusterBits
        let backing = try bigEndian(8, 8)
        guard headerLength <= cluster, backing <= cluster else {
            throw Unreadable("its qcow2 header is damaged")
        }
        let names = try Qcow2Extensions(self, headerLength, backing == 0 ? cluster : backing)
        var references: [ImageReference] = []
        // Incompatible feature 2: the data lies outside.
        if features & 4 != 0 {
            guard let name = names.dataFile, !name.isEmpty else {
                throw Unreadable("its qcow2 header does not name its external data file")
            }
            references.append(.init(.dataFile, name, mayRefer: false))
        }
        return try references + backingFile(isRaw: names.backingFormat == Array("raw".utf8))
    }

    /// Offset at byte 8, size at 16. The specification allows 1023 bytes.
    private func backingFile(isRaw: Bool) throws(Unreadable) -> [ImageReference] {
        let offset = try bigEndian(8, 8)
        if offset == 0 { return [] }
        let length = try bigEndian(16, 4)
        return try backingFile(at: offset, length, atMost: 1023, isRaw: isRaw)
    }

    private func backingFile(
        at offset: UInt64, _ length: UInt64, atMost: UInt64, isRaw: Bool
    ) throws(Unreadable) -> [ImageReference] {
        guard length <= atMost else {
            throw Unreadable("its header gives its backing file a name of \(length) bytes")
        }
        let name = try slice(offset, length).upToZero
        return name.isEmpty ? [] : [.init(.backingFile, name, mayRefer: !isRaw)]
    }

    /// Little-endian. Feature 1 is a backing file (offset at byte 56, size at 60), feature 4 says
    /// that it is raw.
    func qedReferences() throws(Unreadable) -> [ImageReference] {
        let features = try littleEndian(16, 8)
        guard features & 1 != 0 else { return [] }
        return try backingFile(
            at: try littleEndian(56, 4), try littleEndian(60, 4), atMost: 4095,
            isRaw: features & 4 != 0)
    }
}

/// What stands between a qcow2 header and its first cluster's end: type, length and content of each
/// extension, padded to 8 bytes.
private struct Qcow2Extensions {
    private(set) var dataFile: [UInt8]?
    private(set) var backingFormat: [UInt8]?

    init(_ bytes: HeaderReader, _ start: UInt64, _ end: UInt64) throws(Unreadable) {
        var (offset, count) = (start, 0)
        while offset + 8 <= end {
            let type = try bytes.bigEndian(offset, 4)
            if type == 0 { return }
            let length = try bytes.bigEndian(offset + 4, 4)
            count += 1
            guard length <= end - offset - 8, count <= 256 else {
                throw Unreadable("its qcow2 header has damaged extensions")
            }
            switch type {
            // "DATA"
            case 0x4441_5441: dataFile = try Self.name(bytes, offset + 8, length)
            case 0xe279_2aca: backingFormat = try Self.name(bytes, offset + 8, length)
            default: break
            }
            offset += 8 + (length + 7) / 8 * 8
        }
    }

    /// No name of a file is longer than 4095 bytes.
    private static func name(
        _ bytes: HeaderReader, _ offset: UInt64, _ length: UInt64
    ) throws(Unreadable) -> [UInt8] {
        guard length <= 4095 else {
            throw Unreadable("its qcow2 header has a name of \(length) bytes")
        }
        return try bytes.slice(offset, length).upToZero
    }
}
