import MirrorCore
import Testing

private let raw = SampleImage([1, 2, 3])

/// A VMDK descriptor with these lines.
private func vmdk(_ lines: String...) -> SampleImage {
    .text("# Disk DescriptorFile\n" + lines.joined(separator: "\n") + "\n")
}

private func overlay(_ name: String) -> SourceModel {
    SourceModel(["vm/over": .qcow2(backing: name), "base": raw, "vm/base": raw, "vm/a/base": raw])
}

@Suite("What sync=full takes along")
struct ImageClosureTests {
    @Test("an image that stands alone is its own closure, whatever its path's spelling")
    func alone() throws {
        let source = SourceModel(["a/disk.img": raw])
        #expect(try source.members(of: "a/disk.img") == ["a/disk.img"])
        #expect(try source.members(of: "./a//disk.img") == ["a/disk.img"])
    }

    @Test("a chain is followed through directories, each name from where it stands")
    func chain() throws {
        let source = SourceModel([
            "vm/1/top.qcow2": .qcow2(backing: "../mid.qcow2", format: "qcow2"),
            "vm/mid.qcow2": .qcow2(backing: "../base/./b.vmdk"),
            "base/b.vmdk": vmdk("parentCID=ffffffff", "RW 8 FLAT \"x/b-flat.vmdk\" 0"),
            "base/x/b-flat.vmdk": raw,
        ])
        let closure = try ImageClosure(of: Array("vm/1/top.qcow2".utf8), in: source.source)
        #expect(
            closure.members.map { String(decoding: $0.path, as: UTF8.self) }
                == ["vm/1/top.qcow2", "vm/mid.qcow2", "base/b.vmdk", "base/x/b-flat.vmdk"])
        #expect(closure.members.map(\.kind) == [nil, .backingFile, .backingFile, .extent])
    }

    @Test(
        "a name that stays inside is accepted in every spelling",
        arguments: [
            ("base", "vm/base"), ("./base", "vm/base"), ("a//base", "vm/a/base"),
            ("../base", "base"), (".././base", "base"), ("../vm/base", "vm/base"),
            ("file:base", "vm/base"), ("file:../base", "base"), ("./a:b", "vm/a:b"),
        ])
    func spellings(name: String, path: String) throws {
        let source = overlay(name)
        source.files["vm/a:b"] = raw
        #expect(try source.members(of: "vm/over") == ["vm/over", path])
    }

    @Test(
        "what a twin could not open is refused with the reason and the way out",
        arguments: [
            ("../../base", "leaves the source directory"),
            ("../../src/base", "leaves the source directory"),
            ("/srv/base", "leaves the source directory"),
            ("/src2/base", "leaves the source directory"),
            ("/src/../etc/passwd", "leaves the source directory"),
            ("/src", "leaves the source directory"),
            ("/src/base", "name it ../base (qemu-img rebase -u -b ../base)"),
            ("/src/vm/base", "name it base (qemu-img rebase -u -b base)"),
            ("//mnt/./images/vm/a/base", "name it a/base (qemu-img rebase -u -b a/base)"),
            ("file:/src/vm/base", "is an absolute path"),
            ("json:{\"file.filename\":\"base\"}", "is not a plain file name"),
            ("nbd://host/base", "is not a plain file name"),
            ("C:/base", "is not a plain file name"),
            ("nbd:unix:/run/x", "is not a plain file name"), ("..", "does not name a file"),
            ("a/", "does not name a file"), ("a/.", "does not name a file"),
            ("file:", "does not name a file"), ("a/../base", "goes down into a directory"),
            ("../vm/../base", "goes down into a directory"),
            ("gone", "leads to vm/gone, which does not exist"),
        ])
    func refusals(name: String, words: String) throws {
        let message = try #require(overlay(name).refusal(of: "vm/over"))
        #expect(message.contains(words))
        #expect(message.hasPrefix("image vm/over: the backing file \(name) "))
        #expect(message.contains("use sync=top"))
    }

    @Test("what is no plain file is refused in the words of who looked")
    func unusable() throws {
        let source = overlay("base")
        source.unusable["vm/base"] = "is a directory"
        #expect(
            try #require(source.refusal(of: "vm/over")).contains("vm/base, which is a directory"))
    }

    @Test("a refusal deep in a chain names the file that has the reference")
    func deep() throws {
        let source = SourceModel([
            "top": .qcow2(backing: "d/mid"), "d/mid": .qcow2(backing: "", dataFile: "/src/data"),
        ])
        let message = try #require(source.refusal(of: "top"))
        #expect(message.hasPrefix("image top: the external data file /src/data of d/mid is an abs"))
        #expect(message.contains("qemu-img amend -o data_file=../data"))
        source.files["d/mid"] = .text("vhdxfile")
        #expect(
            try #require(source.refusal(of: "top")).hasPrefix("image top: it needs d/mid: its VHDX")
        )
        source.files["d/mid"] = .vdi(type: 4)
        #expect(try #require(source.refusal(of: "d/mid")).hasPrefix("image d/mid: its VDI header"))
    }

    @Test("names are shown harmlessly")
    func harmless() throws {
        let message = try #require(overlay("/x\u{1b}[2J\n").refusal(of: "vm/over"))
        #expect(message.contains("/x\\x1b[2J\\x0a"))
        #expect(!message.contains("\n"))
    }

    @Test("an image whose references make a loop is refused")
    func loops() throws {
        let itself = SourceModel(["a": .qcow2(backing: "./a")])
        #expect(try #require(itself.refusal(of: "a")).contains("refers to itself"))
        let three = SourceModel([
            "a": .qcow2(backing: "d/b"), "d/b": .qcow2(backing: "c"),
            "d/c": .qcow2(backing: "../d/b"),
        ])
        #expect(
            try #require(three.refusal(of: "a")).contains(
                "backing file ../d/b of d/c refers to itself"))
        let data = SourceModel(["a": .qcow2(backing: "", dataFile: "a")])
        #expect(try #require(data.refusal(of: "a")).contains("refers to itself"))
    }

    @Test("a file that several name is taken once")
    func once() throws {
        let source = SourceModel([
            "a": .qcow2(backing: "b", format: "qcow2", dataFile: "c"), "b": .qcow2(backing: "./c"),
            "c": .qcow2(backing: "d"), "d": raw,
        ])
        // As a data file `c` is sectors, as a backing file an image that refers to `d`.
        #expect(try source.members(of: "a") == ["a", "c", "b", "d"])
    }

    @Test("what is used as plain sectors is not looked into: a guest writes it")
    func guestContent() throws {
        let trap = SampleImage.qcow2(backing: "/etc/passwd")
        let source = SourceModel([
            "a": .qcow2(backing: "raw", format: "raw", dataFile: "data"), "raw": trap, "data": trap,
            "v": vmdk("RW 8 FLAT \"raw\" 0", "RW 8 SPARSE \"data\"", "changeTrackPath=\"raw\""),
        ])
        #expect(try source.members(of: "a") == ["a", "data", "raw"])
        #expect(try source.members(of: "v") == ["v", "raw", "data"])
    }

    @Test("what an image can do without is taken where it is, and no reason to refuse")
    func optional() throws {
        let lines = [
            "parentCID=ffffffff", "parentFileNameHint=\"p\"", "changeTrackPath=\"/src/c\"",
        ]
        let source = SourceModel(["v": vmdk(lines.joined(separator: "\n"))])
        #expect(try source.members(of: "v") == ["v"])
        source.files["p"] = raw
        #expect(try source.members(of: "v") == ["v", "p"])
    }

    @Test("a closure of 256 files is taken, one of 257 refused, in depth and in breadth")
    func many() throws {
        var chain = (0..<255).map { ("i\($0)", SampleImage.qcow2(backing: "i\($0 + 1)")) }
        chain.append(("i255", raw))
        let source = SourceModel(Dictionary(uniqueKeysWithValues: chain))
        #expect(try source.members(of: "i0").count == 256)
        source.files["i255"] = .qcow2(backing: "i256")
        source.files["i256"] = raw
        #expect(try #require(source.refusal(of: "i0")).contains("more than 256 files"))
        source.files["v"] = .text(
            "# Disk DescriptorFile\n" + (0..<256).map { "RW 8 FLAT \"i\($0)\" 0\n" }.joined())
        #expect(try #require(source.refusal(of: "v")).contains("more than 256 files"))
    }

    @Test("a member that cannot be read is refused, not taken for raw")
    func unreadable() throws {
        let source = SourceModel(["a": .qcow2(backing: "b"), "b": raw])
        let broken = ImageClosure.Source(
            directories: [], look: source.source.look,
            read: { path, offset, count in
                path == Array("a".utf8) ? source.files["a"]?.read(offset, count) : nil
            })
        #expect(throws: CommandError.self) { try ImageClosure(of: Array("a".utf8), in: broken) }
    }
}
