import MirrorCore
import Testing

private func reference(
    _ kind: ImageReference.Kind, _ name: String, isRequired: Bool = true, mayRefer: Bool = true
) -> ImageReference {
    ImageReference(kind, Array(name.utf8), isRequired: isRequired, mayRefer: mayRefer)
}

private func extent(_ name: String) -> ImageReference { reference(.extent, name, mayRefer: false) }

private let alone = ImageHeader.refersTo([])
private let start = "# Disk DescriptorFile\nversion=1\nCID=61d8ba73\n"

extension ImageHeader {
    fileprivate var isUnreadable: Bool {
        if case .unreadable = self { true } else { false }
    }
}

@Suite("Headers of images")
struct ImageHeaderTests {
    @Test("raw content refers to nothing")
    func raw() {
        #expect(SampleImage([]).header == alone)
        #expect(SampleImage([UInt8](repeating: 0, count: 65536)).header == alone)
        #expect(SampleImage.text("# Disk").header == alone)
        #expect(SampleImage.text("#!/bin/sh\nversion\n").header == alone)
    }

    @Test("an image that cannot be read is not taken for raw")
    func readError() {
        #expect(ImageHeader { _, _ in nil } == .unreadable("it cannot be read"))
    }

    @Test("an image of each format that stands alone refers to nothing")
    func standingAlone() {
        #expect(SampleImage.qcow2(backing: "").header == alone)
        #expect(SampleImage.qcow2(backing: "", version: 2).header == alone)
        #expect(
            SampleImage.sparseVmdk(start + "parentCID=ffffffff\nRW 8 SPARSE \"a.vmdk\"\n").header
                == alone)
        #expect(SampleImage.sparseVmdk(nil).header == alone)
        #expect(SampleImage.vhd(type: 3).header == alone)
        #expect(SampleImage.vhdx(nil).header == alone)
        #expect(SampleImage.vdi(type: 1).header == alone)
    }

    @Test(
        "a backing file is named, in any version of qcow and in QED", arguments: [2, 3] as [UInt8])
    func backing(version: UInt8) {
        let backing = ImageHeader.refersTo([reference(.backingFile, "b\n.img")])
        #expect(SampleImage.qcow2(backing: "b\n.img", version: version).header == backing)
        #expect(SampleImage.qcow1(backing: "b\n.img").header == backing)
        #expect(SampleImage.qed(backing: "b\n.img").header == backing)
    }

    @Test("a name that is not UTF-8 stays as it is, and ends at a zero byte")
    func bytesOfNames() {
        #expect(
            SampleImage.qcow2(backing: [0xff, 0x2e, 0, 0x61]).header
                == .refersTo([.init(.backingFile, [0xff, 0x2e])]))
    }

    @Test("a backing file that is raw is not looked into")
    func rawBacking() {
        let raw = ImageHeader.refersTo([reference(.backingFile, "b", mayRefer: false)])
        #expect(SampleImage.qcow2(backing: "b", format: "raw").header == raw)
        #expect(SampleImage.qcow2(backing: "b", format: "raw", version: 2).header == raw)
        #expect(SampleImage.qed(backing: "b", isRaw: true).header == raw)
        #expect(
            SampleImage.qcow2(backing: "b", format: "qcow2").header
                == .refersTo([reference(.backingFile, "b")]))
    }

    @Test("an external data file is named, before a backing file")
    func externalData() {
        #expect(
            SampleImage.qcow2(backing: "b", format: "qcow2", dataFile: "data.raw").header
                == .refersTo([
                    reference(.dataFile, "data.raw", mayRefer: false), reference(.backingFile, "b"),
                ]))
    }

    @Test("a qcow2 header that cannot be understood is not taken for one without references")
    func badQcow2() {
        #expect(SampleImage.qcow2(backing: "", version: 4).header.isUnreadable)
        #expect(SampleImage(Array(SampleImage.qcow2(backing: "b").read(0, 60))).header.isUnreadable)
        let long = String(repeating: "n", count: 1023)
        #expect(
            SampleImage.qcow2(backing: long).header == .refersTo([reference(.backingFile, long)]))
        #expect(SampleImage.qcow2(backing: long + "n").header.isUnreadable)
        var unnamed = SampleImage.qcow2(backing: "").read(0, 4096)
        unnamed[79] = 4
        #expect(SampleImage(unnamed).header.isUnreadable)
        // The first extension runs past the cluster's end, and would hide those behind it.
        var overrun = SampleImage.qcow2(backing: "", dataFile: "d").read(0, 4096)
        overrun.put([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff], at: 112)
        overrun[79] = 0
        #expect(SampleImage(overrun).header.isUnreadable)
    }

    @Test("every extent of a VMDK descriptor is named")
    func extents() {
        let text =
            start + "parentCID=ffffffff\r\n\r\n# Extent description\r\n"
            + "RW 4194304 FLAT \"d-f001.vmdk\" 0\r\nrw\t8  SPARSE \"d s.vmdk\"\r\nRW 8 ZERO\r\n"
            + "RDONLY 8 VMFS \"d-flat.vmdk\"\r\nNOACCESS 8 VMFSRDM \"d-rdm.vmdk\"\r\n"
        #expect(
            SampleImage.text(text).header
                == .refersTo([
                    extent("d-f001.vmdk"), extent("d s.vmdk"), extent("d-flat.vmdk"),
                    extent("d-rdm.vmdk"),
                ]))
        #expect(SampleImage.text(start + "RW 8 FLAT nothing\n").header.isUnreadable)
    }

    @Test("a descriptor is known by QEMU's sign too")
    func probing() {
        #expect(
            SampleImage.text("# made by hand\n\nversion=1\nRW 8 FLAT \"a\" 0\n").header
                == .refersTo([extent("a")]))
    }

    @Test("a VMDK's parent is named, and needed unless its content id says otherwise")
    func vmdkParent() {
        let hint = "parentFileNameHint = \"base.vmdk\"\n"
        let needed = ImageHeader.refersTo([reference(.parent, "base.vmdk")])
        #expect(SampleImage.text(start + "parentCID=6d09efac\n" + hint).header == needed)
        #expect(SampleImage.text(start + hint).header == needed)
        #expect(SampleImage.sparseVmdk(start + "ParentCID = 1\n" + hint).header == needed)
        #expect(
            SampleImage.text(start + "parentCID=ffffffff\n" + hint).header
                == .refersTo([reference(.parent, "base.vmdk", isRequired: false)]))
        #expect(SampleImage.text(start + "parentCID=1234abcd\n").header.isUnreadable)
    }

    @Test("VMware's change tracking file comes along, but is not needed")
    func changeTracking() {
        #expect(
            SampleImage.text(start + "changeTrackPath=\"d-ctk.vmdk\"\n").header
                == .refersTo([
                    reference(.changeTracking, "d-ctk.vmdk", isRequired: false, mayRefer: false)
                ]))
    }

    @Test(
        "a sparse extent without room for data is a descriptor, one of a split image has none")
    func sparseVmdk() {
        let text = start + "RW 8 FLAT \"d-flat.vmdk\" 0\n"
        #expect(
            SampleImage.sparseVmdk(text, capacity: 0).header == .refersTo([extent("d-flat.vmdk")]))
        #expect(SampleImage.sparseVmdk("").header == alone)
        #expect(SampleImage.sparseVmdk("RW 8 FLAT \"a\" 0").header.isUnreadable)
    }

    @Test("a descriptor of many extents is read to its end, one without an end is not")
    func longDescriptor() {
        let line = "# " + String(repeating: "-", count: 97) + "\n"
        let text = start + String(repeating: line, count: 2000) + "RW 8 FLAT \"last\" 0\n"
        #expect(SampleImage.text(text).header == .refersTo([extent("last")]))
        #expect(SampleImage.text(start + String(repeating: line, count: 11000)).header.isUnreadable)
        let extents = (0..<257).map { "RW 8 FLAT \"e\($0)\" 0\n" }
        #expect(SampleImage.text(start + extents.joined()).header.isUnreadable)
        guard case .refersTo(let all) = SampleImage.text(start + extents.dropLast().joined()).header
        else { return #expect(Bool(false), "256 extents were refused") }
        #expect(all.count == 256)
    }

    @Test("a differencing VHD's parent is named, by its relative name where it has one")
    func vhd() {
        let relative = ImageHeader.refersTo([reference(.parent, "./sub/p.vhd")])
        #expect(
            SampleImage.vhd(name: "q", relative: ".\\sub\\p.vhd", absolute: "C:\\p.vhd").header
                == relative)
        #expect(
            SampleImage.vhd(name: "pä.vhd").header == .refersTo([reference(.parent, "pä.vhd")]))
        #expect(
            SampleImage.vhd(absolute: "C:\\p.vhd").header
                == .refersTo([reference(.parent, "C:/p.vhd")]))
        #expect(SampleImage.vhd().header.isUnreadable)
    }

    @Test("a differencing VHDX's parent is named, by its relative name where it has one")
    func vhdx() {
        let names: KeyValuePairs = [
            "parent_linkage": "{83ed5…}", "absolute_win32_path": "C:\\p.vhdx",
            "relative_path": "..\\p.vhdx",
        ]
        let relative = ImageHeader.refersTo([reference(.parent, "../p.vhdx")])
        #expect(SampleImage.vhdx(names).header == relative)
        #expect(SampleImage.vhdx(names, isCopy: true).header == relative)
        #expect(
            SampleImage.vhdx(["absolute_win32_path": "C:\\p.vhdx"]).header
                == .refersTo([reference(.parent, "C:/p.vhdx")]))
        #expect(SampleImage.vhdx(["parent_linkage": "x"]).header.isUnreadable)
        #expect(SampleImage.text("vhdxfile").header.isUnreadable)
    }

    @Test("a VDI of differences names no file")
    func vdi() { #expect(SampleImage.vdi(type: 4).header.isUnreadable) }

    @Test("references are shown harmlessly")
    func shown() {
        #expect(reference(.backingFile, "a\u{1b}[2J").shown == "backing file a\\x1b[2J")
    }
}
