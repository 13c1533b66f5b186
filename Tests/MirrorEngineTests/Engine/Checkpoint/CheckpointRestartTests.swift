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

/// What the next mount makes of the checkpoints of an earlier one.
@Suite struct CheckpointRestartTests {
    let bench: CheckpointBench
    private let whole = [0..<UInt64(CheckpointBench.size)]

    /// A checkpoint, a twin that was cut after it, and a change.
    init() throws {
        bench = try CheckpointBench(Bench())
        bench.does("checkpoint vm.img monday")
        #expect(bench.cut("") != nil)
        let guest = try bench.guest()
        guest.write([7], at: 100_000)
        try guest.descriptor.close()
    }

    private func hasWarning(_ engine: Engine) -> Bool {
        engine.report().warnings.contains { $0.hasPrefix("checkpoint monday of vm.img") }
    }

    @Test func `a mount that ends in order hands its checkpoints on`() throws {
        let before = bench.extents("monday")
        #expect(before == [98_304..<102_400])
        bench.bench.engine.shutDown()
        #expect(bench.bench.engine.images.all.count <= 1)
        let engine = bench.bench.remounted()
        #expect(bench.report("monday", in: engine)?.complete == true)
        #expect(bench.extents("monday", in: engine) == before)
        #expect(!hasWarning(engine))
        let guest = try bench.guest(in: engine)
        guest.write([8], at: 0)
        #expect(bench.extents("monday", in: engine) == [0..<4096, 98_304..<102_400])
        let job = try #require(bench.cut("sync=incremental checkpoint=monday", in: engine))
        #expect(job.copiedBytes == 8192)
        #expect(bench.bench.isEqual("vm.img"))
        // Once more: the state directory holds the list alone while a mount lives.
        let files = try FileManager.default.contentsOfDirectory(
            atPath: bench.bench.state.string)
        #expect(files == ["checkpoints.json"])
    }

    @Test func `after a crash everything counts as changed, and an incremental job is right`()
        throws
    {
        bench.bench.engine.letCheckpointsGo()
        let engine = bench.bench.remounted()
        #expect(bench.report("monday", in: engine)?.complete == false)
        #expect(bench.extents("monday", in: engine) == whole)
        #expect(hasWarning(engine))
        let job = try #require(bench.cut("sync=incremental checkpoint=monday", in: engine))
        #expect(job.copiedBytes == CheckpointBench.size)
        #expect(bench.bench.isEqual("vm.img"))
        // It does not become complete again by a mount that ends in order.
        engine.shutDown()
        let third = bench.bench.remounted()
        #expect(bench.report("monday", in: third)?.complete == false)
        #expect(bench.extents("monday", in: third) == whole)
    }

    /// The twin is longer than the image that the mount finds: what it has there is not the
    /// image's.
    @Test func `an image cut short before a crash and grown after it is copied as it is`() throws {
        let old = bench.bench.engine
        let guest = try bench.guest()
        guest.truncate(to: 1 << 20)
        try guest.descriptor.close()
        old.letCheckpointsGo()
        let engine = bench.bench.remounted()
        let again = try bench.guest(in: engine)
        again.truncate(to: UInt64(CheckpointBench.size))
        try again.descriptor.close()
        #expect(bench.extents("monday", in: engine) == whole)
        #expect(bench.cut("sync=incremental checkpoint=monday", in: engine) != nil)
        #expect(bench.bench.isEqual("vm.img"))
    }

    @Test func `a second mount after a clean end and a crash does not believe the old marks`() {
        bench.bench.engine.shutDown()
        bench.bench.remounted().letCheckpointsGo()
        #expect(bench.extents("monday", in: bench.bench.remounted()) == whole)
    }

    @Test(arguments: ["write", "times", "replace", "mode"])
    func `an image that was touched behind the mount counts as changed`(how: String) throws {
        bench.bench.engine.shutDown()
        let path = bench.bench.source.appending("vm.img")
        let file = try FileDescriptor.openBacking(path, .readWrite)
        switch how {
        case "write": try [UInt8(1)].withUnsafeBytes { try file.writeFully($0, at: 0) }
        case "times":
            // A change that hides itself: the time of the bytes is put back.
            let date = try FileManager.default.attributesOfItem(atPath: path.string)[
                .modificationDate]
            try [UInt8(1)].withUnsafeBytes { try file.writeFully($0, at: 0) }
            try FileManager.default.setAttributes(
                [.modificationDate: date as Any], ofItemAtPath: path.string)
        case "mode": file.adopt(owner: 0, group: 0, mode: 0o640)
        default:
            try FileManager.default.copyItem(atPath: path.string, toPath: path.string + ".new")
            try FilePath(path.string + ".new").replace(path)
        }
        try file.close()
        let engine = bench.bench.remounted()
        #expect(bench.report("monday", in: engine)?.complete == false)
        #expect(bench.extents("monday", in: engine) == whole)
        #expect(bench.cut("sync=incremental checkpoint=monday", in: engine) != nil)
        #expect(bench.bench.isEqual("vm.img"))
    }

    @Test(arguments: [0, 40, 200])
    func `a checkpoint's saved marks that are damaged are not believed`(offset: Int) throws {
        let id = try #require(bench.bench.engine.checkpoints.all.first?.id)
        bench.bench.engine.shutDown()
        let path = bench.bench.state.appending("checkpoint-\(id).json")
        var content = try path.content()
        content[min(offset, content.count - 2)] ^= 1
        try Data(content).write(to: URL(fileURLWithPath: path.string))
        #expect(bench.extents("monday", in: bench.bench.remounted()) == whole)
    }

    @Test func `a list of checkpoints that is damaged is told of`() throws {
        bench.bench.engine.shutDown()
        let path = bench.bench.state.appending("checkpoints.json")
        try Data("{}".utf8).write(to: URL(fileURLWithPath: path.string))
        let engine = bench.bench.remounted()
        #expect(
            engine.report().warnings.first?.contains("checkpoints.json: cannot be used") == true)
        bench.does("checkpoint vm.img tuesday", in: engine)
    }

    @Test func `a checkpoint without its image is told of, and can be forgotten`() throws {
        bench.bench.engine.shutDown()
        let path = bench.bench.source.appending("vm.img")
        try path.replace(bench.bench.source.appending("elsewhere.img"))
        let engine = bench.bench.remounted()
        #expect(hasWarning(engine))
        bench.does("checkpoint vm.img monday delete=on", in: engine)
        #expect(!hasWarning(engine))
    }

    @Test func `a checkpoint keeps to its image over a rename in the mount`() throws {
        let engine = bench.bench.engine
        let (old, new) = (bench.bench.source.appending("vm.img"), FilePath("new.img"))
        try old.replace(bench.bench.source.pushing(new))
        engine.renamed(from: "vm.img", to: new)
        engine.shutDown()
        let second = bench.bench.remounted()
        #expect(second.checkpoints.all.map { $0.image.path } == [new])
        #expect(second.checkpoints.all.map(\.isComplete) == [true])
    }

    @Test func `a mount without a state directory has checkpoints for as long as it lives`() throws
    {
        let bench = try CheckpointBench(Bench(keepsState: false))
        bench.does("checkpoint vm.img monday")
        try bench.guest().write([1], at: 0)
        #expect(bench.extents("monday") == [0..<4096])
        bench.bench.engine.shutDown()
        #expect(bench.bench.engine.checkpoints.all.isEmpty)
    }
}
