import MirrorCore

/// An image made by hand: pieces at offsets, zeroes between them, so that formats with far tables
/// stay small.
struct SampleImage {
    var pieces: [(offset: Int, bytes: [UInt8])]
    var length: Int

    init(_ pieces: [(Int, [UInt8])], length: Int) {
        self.pieces = pieces.map { (offset: $0.0, bytes: $0.1) }
        self.length = length
    }

    /// One piece.
    init(_ bytes: [UInt8]) { self.init([(0, bytes)], length: bytes.count) }

    func read(_ offset: UInt64, _ count: Int) -> [UInt8] {
        guard offset < UInt64(length) else { return [] }
        let start = Int(offset)
        var result = [UInt8](repeating: 0, count: min(count, length - start))
        for piece in pieces {
            let from = max(start, piece.offset)
            let end = min(start + result.count, piece.offset + piece.bytes.count)
            if from >= end { continue }
            result.replaceSubrange(
                from - start..<end - start,
                with: piece.bytes[from - piece.offset..<end - piece.offset])
        }
        return result
    }

    var header: ImageHeader { ImageHeader { read($0, $1) } }
}

extension SampleImage {
    static func text(_ text: String) -> Self { .init(Array(text.utf8)) }

    /// As `qemu-img create` writes it: for version 3 the extensions begin at 112, for version 2 at
    /// 72.
    static func qcow2(
        backing: [UInt8] = [], format: String = "", dataFile: String = "", version: UInt8 = 3
    ) -> Self {
        var bytes = [UInt8](repeating: 0, count: 4096)
        bytes.put([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, version], at: 0)
        bytes[23] = 16
        bytes[103] = 112
        var extensions: [UInt8] = []
        if !dataFile.isEmpty {
            bytes[79] = 4
            extensions += piece(0x4441_5441, dataFile)
        }
        if !format.isEmpty { extensions += piece(0xe279_2aca, format) }
        extensions += piece(0x6803_f857, "feature names")
        bytes.put(extensions, at: version == 2 ? 72 : 112)
        if !backing.isEmpty {
            bytes.put(UInt64(1024).big(8) + UInt64(backing.count).big(4), at: 8)
            bytes.put(backing, at: 1024)
        }
        return .init(bytes)
    }

    static func qcow2(
        backing: String, format: String = "", dataFile: String = "", version: UInt8 = 3
    ) -> Self {
        qcow2(backing: Array(backing.utf8), format: format, dataFile: dataFile, version: version)
    }

    private static func piece(_ type: UInt64, _ text: String) -> [UInt8] {
        type.big(4) + UInt64(text.utf8.count).big(4) + Array(text.utf8)
            + [UInt8](repeating: 0, count: (8 - text.utf8.count % 8) % 8)
    }

    static func qcow1(backing: String) -> Self {
        let name = Array(backing.utf8)
        return .init(
            [0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 1] + UInt64(48).big(8) + UInt64(name.count).big(4)
                + [UInt8](repeating: 0, count: 28) + name + [0, 0, 0, 0])
    }

    static func qed(backing: String, isRaw: Bool = false) -> Self {
        let name = Array(backing.utf8)
        var bytes = [UInt8](repeating: 0, count: 256)
        bytes.put([0x51, 0x45, 0x44, 0, 0, 0, 1, 0, 4, 0, 0, 0, 1, 0, 0, 0], at: 0)
        bytes[16] = isRaw ? 5 : 1
        bytes.put(UInt64(64).little(4) + UInt64(name.count).little(4), at: 56)
        bytes.put(name, at: 64)
        return .init(bytes)
    }

    /// A sparse extent of a capacity, with a descriptor in its second sector unless that is nil.
    static func sparseVmdk(_ descriptor: String?, capacity: UInt64 = 2048) -> Self {
        var bytes = [UInt8](repeating: 0, count: 11264)
        bytes.put(Array("KDMV".utf8) + [1, 0, 0, 0, 3, 0, 0, 0] + capacity.little(8), at: 0)
        if let descriptor {
            (bytes[28], bytes[36]) = (1, 20)
            bytes.put(Array(descriptor.utf8), at: 512)
        }
        return .init(bytes)
    }

    /// A differencing VHD, or of another type, with its parent's names.
    static func vhd(
        type: UInt8 = 4, name: String = "", relative: String = "", absolute: String = ""
    )
        -> Self
    {
        var bytes = [UInt8](repeating: 0, count: 4096)
        bytes.put(Array("conectix".utf8), at: 0)
        (bytes[22], bytes[63]) = (2, type)
        bytes.put(Array("cxsparse".utf8), at: 512)
        bytes.put(name.utf16.flatMap { UInt64($0).big(2) }, at: 576)
        for (index, locator) in [("W2ku", absolute, 2048), ("W2ru", relative, 3072)].enumerated() {
            let text = locator.1.utf16.flatMap { UInt64($0).little(2) }
            if text.isEmpty { continue }
            let entry =
                Array(locator.0.utf8) + UInt64(512).big(4) + UInt64(text.count).big(4)
                + [0, 0, 0, 0] + UInt64(locator.2).big(8)
            bytes.put(entry, at: 512 + 576 + index * 24)
            bytes.put(text, at: locator.2)
        }
        return .init(bytes)
    }

    /// The region table at 192 KiB (or only its copy at 256 KiB), the metadata at 3 MiB.
    static func vhdx(_ parent: KeyValuePairs<String, String>?, isCopy: Bool = false) -> Self {
        let regions =
            Array("regi".utf8) + [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
            + guid("2DC27766F62342009D64115E9BFD4A08") + UInt64(2 << 20).little(8) + [0, 0, 16, 0]
            + [1, 0, 0, 0]
            + guid("8B7CA20647904B9AB8FE575F050F886E") + UInt64(3 << 20).little(8) + [0, 0, 16, 0]
            + [1, 0, 0, 0]
        let items =
            Array("metadata".utf8) + [0, 0, parent == nil ? 1 : 2, 0]
            + [UInt8](repeating: 0, count: 20)
            + guid("CAA16737FA364D43B3B633F0AA44E76B") + UInt64(65536).little(4)
            + [8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
            + guid("A8D35F2DB30B454DABF7D3D84834AB0C") + UInt64(65544).little(4)
            + [0, 1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
        let parameters: [UInt8] = [0, 0, 32, 0, parent == nil ? 0 : 2, 0, 0, 0]
        return .init(
            [
                (0, Array("vhdxfile".utf8)), ((isCopy ? 256 : 192) << 10, regions),
                (3 << 20, items), (3 << 20 + 65536, parameters + locator(parent ?? [:])),
            ], length: 4 << 20)
    }

    private static func locator(_ pairs: KeyValuePairs<String, String>) -> [UInt8] {
        var (entries, text): ([UInt8], [UInt8]) = ([], [])
        for pair in pairs {
            let (key, value) = (pair.key.utf16.count * 2, pair.value.utf16.count * 2)
            let start = 20 + pairs.count * 12 + text.count
            entries += UInt64(start).little(4) + UInt64(start + key).little(4)
            entries += UInt64(key).little(2) + UInt64(value).little(2)
            text += (pair.key + pair.value).utf16.flatMap { UInt64($0).little(2) }
        }
        return guid("B04AEFB7D19E4A81B78925B8E9445913") + [0, 0] + UInt64(pairs.count).little(2)
            + entries + text
    }

    /// An id as Windows stores it: its first three numbers least significant byte first.
    static func guid(_ hex: String) -> [UInt8] {
        let digits = Array(hex)
        let bytes = stride(from: 0, to: 32, by: 2).map {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)!
        }
        return bytes[0..<4].reversed() + bytes[4..<6].reversed() + bytes[6..<8].reversed()
            + bytes[8...]
    }

    static func vdi(type: UInt8) -> Self {
        var bytes = [UInt8](repeating: 0, count: 512)
        bytes.put([0x7f, 0x10, 0xda, 0xbe, 1, 0, 1, 0, 0x90, 1, 0, 0, type], at: 64)
        return .init(bytes)
    }
}

extension [UInt8] {
    mutating func put(_ part: [UInt8], at offset: Int) {
        replaceSubrange(offset..<offset + part.count, with: part)
    }
}

extension UInt64 {
    /// The last `count` bytes, most significant first.
    func big(_ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: self >> (UInt64($0) * 8)) }
    }

    func little(_ count: Int) -> [UInt8] { big(count).reversed() }
}
