import Foundation
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// What the next mount makes of what an earlier one, a crash, or somebody behind its back has left.
@Suite struct ServedImagesRecoveryTests {
    let bench: Bench
    let own: FilePath
    let twin: FilePath
    /// What the twin holds, and the image's own file does not.
    let current: [UInt8]

    /// An image that was switched and written to afterwards; nobody has it open.
    init() throws {
        bench = try Bench()
        own = bench.source.appending("vm.img")
        twin = bench.target.appending("vm.img")
        try bench.makeFile("vm.img", bytes: 50_000)
        try bench.makeFile("other.img", bytes: 1000)
        let handle = try bench.open("vm.img")
        try bench.switchOver([bench.twin(handle, "vm.img")])
        handle.guest.write([1, 2, 3], at: 0)
        current = handle.content
        bench.engine.serving.finishSaving()
    }

    /// The image's content as a new mount serves it; nil where it cannot be opened.
    private func content(in engine: Engine, _ name: String = "vm.img") -> [UInt8]? {
        do {
            return try bench.open(name, O_RDONLY, in: engine).content
        } catch {
            #expect(error as? Errno == .ioError)
            return nil
        }
    }

    @Test func `a mount without the record refuses the old file, and says how to go on`() throws {
        let engine = bench.remounted(state: bench.root.appending("lost"))
        #expect(engine.serving.warnings.isEmpty)
        for _ in 0..<2 { #expect(content(in: engine) == nil) }
        #expect(content(in: engine, "other.img")?.count == 1000)
        let warnings = engine.report().warnings
        #expect(warnings.count == 1)
        let warning = try #require(warnings.first)
        #expect(warning.hasPrefix("vm.img: superseded by \(twin) (generation 1), which this mount"))
        #expect(warning.contains("setfattr -x user.twinfs.superseded vm.img"))
        #expect(StatusText.render(engine.report()).contains("warning: vm.img: superseded"))

        let node = try FileDescriptor.openNode(at: own)
        try node.removeNodeAttribute("user.twinfs.superseded")
        try node.close()
        #expect(content(in: engine)?.count == 50_000)
        #expect(engine.report().warnings.isEmpty)
    }

    @Test func `a name that is given to another file leaves the image its other names`() throws {
        let link = bench.source.appending("link.img")
        try FileManager.default.linkItem(atPath: own.string, toPath: link.string)
        let engine = bench.remounted()
        try bench.source.appending("other.img").replace(own)
        let identity = try own.status().identity
        engine.renamed(from: "other.img", to: "vm.img")
        engine.created(identity, at: "vm.img")
        engine.serving.finishSaving()
        for engine in [engine, bench.remounted()] {
            #expect(content(in: engine)?.count == 1000)
            #expect(content(in: engine, "link.img") == current)
        }
    }

    @Test func `a record file cut at any length never gives old data`() throws {
        let whole = bench.bytes(bench.record)
        for length in stride(from: 0, to: whole.count, by: Bench.every(1)) {
            try write(Array(whole[..<length]))
            let engine = bench.remounted()
            #expect(content(in: engine) == nil, "\(length)")
            #expect(content(in: engine, "other.img")?.count == 1000)
            #expect(engine.serving.warnings.first?.contains("serving.json: cannot be used") == true)
        }
        try write(whole)
        #expect(content(in: bench.remounted()) == current)
    }

    @Test func `a record file with any byte changed never gives old data`() throws {
        let whole = bench.bytes(bench.record)
        for index in stride(from: 0, to: whole.count, by: Bench.every(1)) {
            var changed = whole
            changed[index] ^= [0x01, 0x80, 0x20][index % 3]
            try write(changed)
            #expect(content(in: bench.remounted()) == nil, "\(index)")
        }
    }

    @Test func `a record file that cannot be believed is not overwritten`() throws {
        try write(Array("{\"version\":2,\"better\":true}\n".utf8))
        let engine = bench.remounted()
        #expect(engine.serving.warnings.first?.contains("another twinfs (version 2") == true)
        let handle = try bench.open("other.img", in: engine)
        let move = try bench.twin(handle, "other.img")
        #expect(throws: CommandError.self) { try engine.switchOver([move]) }
        try move.descriptor.close()
        engine.renamed(from: "vm.img", to: "a.img")
        engine.serving.finishSaving()
        #expect(bench.bytes(bench.record).starts(with: Array("{\"version\":2".utf8)))
    }

    @Test func `a twin that is not there is found again once it is`() throws {
        let away = bench.target.appending("away.img")
        try twin.replace(away)
        let engine = bench.remounted()
        #expect(engine.serving.warnings.first?.contains("is served from \(twin)") == true)
        #expect(content(in: engine) == nil)
        try away.replace(twin)
        #expect(content(in: engine) == current)
        #expect(engine.serving.warnings.isEmpty)
    }

    @Test func `another file in the twin's place is refused until it says that it is the one`()
        throws
    {
        let copy = bench.target.appending("copy.img")
        try FileManager.default.copyItem(atPath: twin.string, toPath: copy.string)
        try copy.replace(twin)
        let engine = bench.remounted()
        #expect(content(in: engine) == nil)
        let warning = try #require(engine.serving.warnings.first)
        #expect(warning.contains("another file than the one that was switched to"))
        let value = try #require(warning.split(separator: "'").dropFirst().first)
        let node = try FileDescriptor.openNode(at: twin)
        try node.setNodeAttribute("user.twinfs.serving", String(value))
        try node.close()
        #expect(content(in: engine) == current)
    }

    @Test func `a file that was renamed behind the mount is known by its attribute`() throws {
        try own.replace(bench.source.appending("new.img"))
        let engine = bench.remounted()
        #expect(engine.serving.warnings.first?.contains("its own file is gone") == true)
        #expect(content(in: engine, "new.img") == current)
        #expect(engine.serving.warnings.isEmpty)
        engine.serving.finishSaving()
        let next = bench.remounted()
        #expect(next.serving.warnings.isEmpty && content(in: next, "new.img") == current)
    }

    @Test func `a new file of the old name is not taken for the image`() throws {
        try bench.makeFile("vm.new", bytes: 77)
        try bench.source.appending("vm.new").replace(own)
        let engine = bench.remounted()
        #expect(content(in: engine) == nil)
        // Somebody gives the name to it in the mount: it is wanted so.
        let identity = try own.status().identity
        engine.created(identity, at: "vm.img")
        #expect(content(in: engine)?.count == 77)
        #expect(engine.serving.warnings.isEmpty)
        engine.serving.finishSaving()
        #expect(content(in: bench.remounted())?.count == 77)
    }

    @Test func `a copy of the old file, attributes and all, is not served by the twin`() throws {
        let copy = bench.source.appending("copy.img")
        try FileManager.default.copyItem(atPath: own.string, toPath: copy.string)
        let node = try FileDescriptor.openNode(at: copy)
        try node.setNodeAttribute("user.twinfs.superseded", try #require(try bench.mark(own)))
        try node.close()
        let engine = bench.remounted()
        #expect(content(in: engine, "copy.img") == nil)
        #expect(content(in: engine) == current)
    }

    @Test func `renames and deletions of switched images in the mount are kept`() throws {
        try FilePath(bench.source.string + "/dir").makeDirectory()
        let engine = bench.remounted()
        try own.replace(bench.source.appending("dir").appending("b.img"))
        engine.renamed(from: "vm.img", to: "dir/b.img")
        #expect(content(in: engine, "dir/b.img") == current)
        engine.serving.finishSaving()
        let next = bench.remounted()
        #expect(next.serving.warnings.isEmpty && content(in: next, "dir/b.img") == current)

        let handle = try bench.open("dir/b.img", in: next)
        let identity = handle.image.identity
        try bench.source.appending("dir").appending("b.img").removeFile()
        next.deleted(identity)
        #expect(handle.content == current && next.serving.backing(of: identity) != nil)
        next.serving.finishSaving()
        #expect(bench.remounted().serving.warnings.isEmpty)
        #expect(bench.bytes(twin) == current)
    }

    @Test func `a crash between the record and the attributes is made good`() throws {
        let mark = try bench.mark(own)
        let node = try FileDescriptor.openNode(at: own)
        defer { try? node.close() }
        try node.removeNodeAttribute("user.twinfs.superseded")
        #expect(content(in: bench.remounted()) == current)
        #expect(try bench.mark(own) == mark)

        // The same on the way back: the record says that the own file serves, the attributes do not
        // yet.
        var file = try ServingFile(bench.bytes(bench.record))
        let old = try #require(file.records.first)
        file.records = [
            ServingRecord(
                id: RandomID.make(), generation: 2, image: old.image, inode: old.inode, twin: nil,
                replaces: .init(id: old.id, twin: try #require(old.twin).path), time: 0)
        ]
        try write(file.bytes)
        let engine = bench.remounted()
        #expect(content(in: engine)?.count == 50_000 && content(in: engine) != current)
        #expect(try bench.mark(own) == nil)
        #expect(try bench.mark(twin)?.hasSuffix("2 \(own)") == true)
        engine.serving.finishSaving()
        #expect(try ServingFile(bench.bytes(bench.record)).records.isEmpty)
    }

    private func write(_ content: [UInt8]) throws {
        try Data(content).write(to: URL(fileURLWithPath: bench.record.string))
    }
}
