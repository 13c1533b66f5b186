import MirrorCore
import Testing

@Suite("Headers of images")
struct ImageHeaderTests {
    @Test("raw content refers to nothing")
    func raw() {
        #expect(ImageHeader([]) == .none)
        #expect(ImageHeader([UInt8](repeating: 0, count: 65536)) == .none)
        #expect(ImageHeader(Array("# Disk".utf8)) == .none)
    }

    @Test("a plain image of each format refers to nothing")
    func plain() {
        #expect(ImageHeader(Samples.qcow2(backing: "")) == .none)
        #expect(
            ImageHeader(Samples.sparseVmdk("parentCID=ffffffff\nRW 8 SPARSE \"a.vmdk\"\n")) == .none
        )
        #expect(ImageHeader(Samples.vhd(type: 3)) == .none)
        #expect(Samples.vhdx(hasParent: false) == .none)
    }

    @Test("a qcow2 backing file is named")
    func qcow2() {
        #expect(
            ImageHeader(Samples.qcow2(backing: "base\n.qcow2"))
                == .refersTo("a qcow2 backing file base\\x0a.qcow2"))
    }

    @Test("a qcow2 external data file is named")
    func externalData() {
        #expect(
            ImageHeader(Samples.qcow2(dataFile: "data.raw"))
                == .refersTo("a qcow2 external data file data.raw"))
    }

    @Test("a VMDK descriptor's parent and extents are named")
    func vmdk() {
        let start = "# Disk DescriptorFile\nversion=1\n"
        #expect(
            ImageHeader(Array((start + "parentFileNameHint=\"base.vmdk\"\n").utf8))
                == .refersTo("a VMDK parent base.vmdk"))
        #expect(
            ImageHeader(
                Array((start + "parentCID=ffffffff\r\nRW 4192256 FLAT \"d-flat.vmdk\" 0\n").utf8))
                == .refersTo("a VMDK extent d-flat.vmdk"))
        #expect(
            ImageHeader(Array((start + "parentCID=1234abcd\n").utf8))
                == .refersTo("a VMDK parent with the content id 1234abcd"))
    }

    @Test("a sparse VMDK's parent is named")
    func sparseVmdk() {
        #expect(
            ImageHeader(Samples.sparseVmdk("parentFileNameHint=\"base.vmdk\"\n"))
                == .refersTo("a VMDK parent base.vmdk"))
    }

    @Test("a differencing VHD's parent is named")
    func vhd() {
        #expect(
            ImageHeader(Samples.vhd(type: 4, parent: "p.vhd")) == .refersTo("a VHD parent p.vhd"))
    }

    @Test("a differencing VHDX is seen, and one that cannot be read counts as one")
    func vhdx() {
        #expect(Samples.vhdx(hasParent: true) == .refersTo("a VHDX parent"))
        #expect(ImageHeader(Array("vhdxfile".utf8)) != .none)
    }

    @Test("headers cut off anywhere are answered")
    func truncated() {
        for sample in Samples.all {
            for length in stride(from: 0, through: min(sample.count, 700), by: 1) {
                _ = ImageHeader(Array(sample.prefix(length)))
            }
        }
    }

    @Test("headers with random damage are answered")
    func mutated() {
        var random = SeededRandom(seed: .random(in: 0 ... .max))
        for round in 0..<4000 {
            var sample = Samples.all[round % Samples.all.count]
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let place = Int.random(in: 0..<min(sample.count, 1200), using: &random)
                sample[place] = [0, 0xff, .random(in: 0...255, using: &random)].randomElement(
                    using: &random)!
            }
            _ = ImageHeader(sample)
        }
    }
}

/// Headers made by hand.
private enum Samples {
    static let all = [
        qcow2(backing: "base.qcow2"), qcow2(dataFile: "data.raw"),
        sparseVmdk("parentFileNameHint=\"base.vmdk\"\n"), vhd(type: 4, parent: "p.vhd"),
        Array("# Disk DescriptorFile\nparentCID=1\nRW 1 FLAT \"a\" 0\n".utf8),
        vhdxBytes(hasParent: true),
    ]

    static func qcow2(backing: String = "", dataFile: String = "") -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        put([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3], at: 0, in: &bytes)
        if !backing.isEmpty { put([2, 0], at: 14, in: &bytes) }
        bytes[19] = UInt8(backing.utf8.count)
        bytes[103] = 112
        if !dataFile.isEmpty {
            bytes[79] = 4
            put([0x44, 0x41, 0x54, 0x41, 0, 0, 0, UInt8(dataFile.utf8.count)], at: 112, in: &bytes)
            put(Array(dataFile.utf8), at: 120, in: &bytes)
        }
        put(Array(backing.utf8), at: 512, in: &bytes)
        return bytes
    }

    static func sparseVmdk(_ descriptor: String) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2048)
        put(Array("KDMV".utf8), at: 0, in: &bytes)
        (bytes[28], bytes[36]) = (1, 2)
        put(Array(("# Disk DescriptorFile\n" + descriptor).utf8), at: 512, in: &bytes)
        return bytes
    }

    static func vhd(type: UInt8, parent: String = "") -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1536)
        put(Array("conectix".utf8), at: 0, in: &bytes)
        (bytes[22], bytes[63]) = (2, type)
        put(Array("cxsparse".utf8), at: 512, in: &bytes)
        put(parent.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }, at: 576, in: &bytes)
        return bytes
    }

    static func vhdx(hasParent: Bool) -> ImageHeader {
        ImageHeader(vhdxBytes(hasParent: hasParent))
    }

    /// The region table at 192 KiB, the metadata at 256 KiB, the file parameters 64 KiB further on.
    static func vhdxBytes(hasParent: Bool) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 384 << 10)
        put(Array("vhdxfile".utf8), at: 0, in: &bytes)
        put(Array("regi".utf8) + [0, 0, 0, 0, 1], at: 192 << 10, in: &bytes)
        put(
            [
                0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f,
                0x88, 0x6e, 0, 0, 4,
            ], at: 192 << 10 + 16, in: &bytes)
        put(Array("metadata".utf8) + [0, 0, 1], at: 256 << 10, in: &bytes)
        put(
            [
                0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44,
                0xe7, 0x6b, 0, 0, 1,
            ], at: 256 << 10 + 32, in: &bytes)
        bytes[320 << 10 + 4] = hasParent ? 2 : 0
        return bytes
    }

    static func put(_ part: [UInt8], at offset: Int, in bytes: inout [UInt8]) {
        bytes.replaceSubrange(offset..<offset + part.count, with: part)
    }
}
