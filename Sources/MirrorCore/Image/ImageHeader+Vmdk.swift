/// VMDK: a text descriptor, or a sparse extent with the descriptor inside.
extension HeaderReader {
    /// The longest descriptor that QEMU reads.
    private static let longestDescriptor = UInt64(1 << 20)

    func textVmdkReferences() throws(Unreadable) -> [ImageReference] {
        let descriptor = VmdkDescriptor(try text(at: 0, Self.longestDescriptor))
        return try descriptor.extents() + descriptor.others()
    }

    /// The descriptor's first sector stands at byte 28, its sectors at 36, little-endian. An extent
    /// of a split image has none: zeroes stand there or, as QEMU writes it, where they point. The
    /// descriptor's extent line names the file itself, by a name that it may have lost since: not
    /// looked at, as in QEMU, but for a capacity (byte 12) of 0, when nothing else is in the file.
    func sparseVmdkReferences() throws(Unreadable) -> [ImageReference] {
        let (sector, sectors) = (try littleEndian(28, 8), try littleEndian(36, 8))
        if sector == 0 || sectors == 0 { return [] }
        guard sector < Self.farthest / 512 else {
            throw Unreadable("its VMDK header points past any file")
        }
        let limit = min(sectors, Self.longestDescriptor / 512) * 512
        let text = try text(at: sector * 512, limit)
        if text.isEmpty { return [] }
        let descriptor = VmdkDescriptor(text)
        guard descriptor.isPlausible else {
            throw Unreadable("its VMDK header points to something else than a descriptor")
        }
        let isEmpty = try littleEndian(12, 8) == 0
        return try (isEmpty ? descriptor.extents() : []) + descriptor.others()
    }

    /// The text from `offset` up to its first zero byte, the file's end, or `limit`.
    private func text(at offset: UInt64, _ limit: UInt64) throws(Unreadable) -> [UInt8] {
        var text: [UInt8] = []
        while UInt64(text.count) < limit {
            let part = try upTo(limit - UInt64(text.count), from: offset + UInt64(text.count))
            let piece = part.upToZero
            text += piece
            if piece.count < part.count || part.count < ImageHeader.largestRead { return text }
        }
        guard limit < Self.longestDescriptor else {
            throw Unreadable("its VMDK descriptor does not end")
        }
        return text
    }
}

/// The text that describes a VMDK: `key=value` lines and one line for each extent.
struct VmdkDescriptor {
    private let lines: [Line]

    init(_ text: [UInt8]) {
        lines = text.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }.map(Line.init)
    }

    /// Whether a file that starts so is a descriptor: by VMware's first line, or, as QEMU probes,
    /// by a version after nothing but comments.
    static func isStart(_ start: [UInt8]) -> Bool {
        let lines = VmdkDescriptor(start.upToZero).lines
        guard let first = lines.first(where: { !$0.isBlank }) else { return false }
        if first.starts("# disk descriptorfile") { return true }
        return lines.first { !$0.isBlank && !$0.starts("#") }?.starts("version=") ?? false
    }

    var isPlausible: Bool {
        lines.contains { $0.starts("# disk descriptorfile") || $0.key == "cid" }
    }

    /// The files that hold its data: `RW 4192256 SPARSE "disk-s001.vmdk"`. Whatever their format,
    /// they refer to nothing: a parent stands in the descriptor.
    func extents() throws(Unreadable) -> [ImageReference] {
        var extents: [ImageReference] = []
        for line in lines where line.isExtent {
            // At least this much is a line of ours; `ZERO` needs no file.
            let words = line.words
            if words.count > 2, words[2] == "zero" { continue }
            guard let name = line.quoted, !name.isEmpty else {
                throw Unreadable("its VMDK descriptor has an extent without a file name")
            }
            extents.append(.init(.extent, name, mayRefer: false))
        }
        return extents
    }

    /// A parent, and VMware's change tracking file.
    ///
    /// QEMU opens any parent that is named; VMware only where `parentCID` is not `ffffffff`. So one
    /// that it would not open is taken along where it is.
    func others() throws(Unreadable) -> [ImageReference] {
        let id = value("parentcid").map { String(decoding: $0, as: UTF8.self).lowercased() }
        let hasParent = id != nil && id != "ffffffff"
        var references: [ImageReference] = []
        if let parent = value("parentfilenamehint"), !parent.isEmpty {
            references.append(.init(.parent, parent, isRequired: hasParent || id == nil))
        } else if hasParent {
            throw Unreadable("its VMDK descriptor has a parent, and does not name it")
        }
        if let log = value("changetrackpath"), !log.isEmpty {
            references.append(.init(.changeTracking, log, isRequired: false, mayRefer: false))
        }
        return references
    }

    private func value(_ key: String) -> [UInt8]? { lines.first { $0.key == key }?.value }
}

/// One line of a descriptor. Its words count in any case.
private struct Line {
    let bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes.drop { $0 == 0x20 || $0 == 0x09 }
    }

    var isBlank: Bool { bytes.isEmpty }

    func starts(_ word: String) -> Bool { Self.lowercased(bytes.prefix(word.utf8.count)) == word }

    /// Up to the first three words.
    var words: [String] {
        bytes.split(maxSplits: 3) { $0 == 0x20 || $0 == 0x09 }.prefix(3).map(Self.lowercased)
    }

    var isExtent: Bool { ["rw", "rdonly", "noaccess"].contains(words.first ?? "") }

    /// What stands before the first `=`.
    var key: String? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return Self.lowercased(Self.trimmed(bytes[..<end]))
    }

    /// What stands after it, without its quotes.
    var value: [UInt8]? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return quoted ?? Array(Self.trimmed(bytes[(end + 1)...]))
    }

    /// What stands between the first two double quotes.
    var quoted: [UInt8]? {
        let quote = UInt8(ascii: "\"")
        guard let start = bytes.firstIndex(of: quote) else { return nil }
        return Array(bytes[(start + 1)...].prefix { $0 != quote })
    }

    private static func trimmed(_ part: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let part = part.drop { $0 <= 0x20 }
        return part.prefix(
            (part.lastIndex { $0 > 0x20 } ?? part.startIndex - 1) - part.startIndex + 1)
    }

    private static func lowercased(_ part: ArraySlice<UInt8>) -> String {
        String(decoding: part, as: UTF8.self).lowercased()
    }
}
