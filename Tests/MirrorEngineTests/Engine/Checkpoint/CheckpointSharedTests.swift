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

/// What the worker that comes after a dead one makes of its checkpoints. The dead one is an engine
/// that nobody uses any more.
@Suite struct CheckpointSharedTests {
    let bench: CheckpointBench
    private let whole = [0..<UInt64(CheckpointBench.size)]
    private let before = [UInt64(98_304)..<102_400]

    /// A checkpoint, a twin that was cut after it, and a change.
    init() throws {
        bench = try CheckpointBench(Bench())
        bench.does("checkpoint vm.img monday")
        #expect(bench.cut("") != nil)
        let guest = try bench.guest()
        guest.write([7], at: 100_000)
        try guest.descriptor.close()
    }

    private func keeper(of engine: Engine? = nil) throws -> LocalKeeper {
        let keeper = (engine ?? bench.bench.engine).keeper as? LocalKeeper
        return try #require(keeper).successor()
    }

    /// The dead one's lock on the image is gone.
    private func successor(of engine: Engine? = nil) throws -> Engine {
        let dead = engine ?? bench.bench.engine
        let keeper = try keeper(of: dead)
        for checkpoint in dead.checkpoints.all { checkpoint.opened.close(dead) }
        return bench.bench.remounted(keeper: keeper)
    }

    private func tables(_ keeper: LocalKeeper) -> [String] {
        keeper.inheritedNames.filter { $0.hasPrefix("checkpoint-") }
    }

    @Test func `checkpoints go on exactly with the worker that takes over, and with the next one`()
        throws
    {
        let second = try successor()
        #expect(bench.report("monday", in: second)?.complete == true)
        #expect(bench.extents("monday", in: second) == before)
        #expect(second.report().warnings.isEmpty)
        try bench.guest(in: second).write([8], at: 0)
        let third = try successor(of: second)
        #expect(bench.extents("monday", in: third) == [0..<4096] + before)
        let job = try #require(bench.cut("sync=incremental checkpoint=monday", in: third))
        #expect(job.copiedBytes == 8192)
        #expect(bench.bench.isEqual("vm.img"))
    }

    @Test func `a checkpoint counts a change that was under way as one`() throws {
        let image = try bench.guest().image
        let (range, gone) = (ByteRange(8192, 8193), ByteRange(3 << 20, image.end.farthest))
        _ = image.trackers.beginChange(range)
        _ = image.trackers.beginChange(gone, isTruncation: true)
        #expect(bench.extents("monday") == before)
        let extents = bench.extents("monday", in: try successor())
        #expect(extents == [8192..<12288] + before + [3 << 20..<UInt64(CheckpointBench.size)])
    }

    @Test func `a checkpoint notes every kind of change while it is under way, and not afterwards`()
        throws
    {
        let guest = try bench.guest()
        guest.write([1, 2], at: 4095)
        guest.allocate([.punchHole, .keepSize], at: 16384, count: 4096)
        guest.truncate(to: UInt64(CheckpointBench.size - 4096))
        let end = UInt64(CheckpointBench.size)
        let extents = bench.extents("monday")
        #expect(extents == [0..<8192, 16384..<20480] + before)
        let second = try successor()
        #expect(bench.extents("monday", in: second) == extents)
        try bench.guest(in: second).truncate(to: end)
        #expect(bench.extents("monday", in: second) == extents! + [end - 4096..<end])
    }

    @Test
    func `nothing is kept of a checkpoint that is forgotten, nor of a mount that ends in order`()
        throws
    {
        #expect(tables(try keeper()).count == 1)
        bench.does("checkpoint vm.img tuesday")
        #expect(tables(try keeper()).count == 2)
        bench.does("checkpoint vm.img monday delete=on")
        #expect(tables(try keeper()).count == 1)
        bench.bench.engine.shutDown()
        #expect(tables(try keeper()).isEmpty)
    }

    @Test func `the table of a checkpoint that is not in the list is dropped`() throws {
        let path = bench.bench.state.appending("checkpoints.json")
        try FileManager.default.removeItem(atPath: path.string)
        let second = try successor()
        #expect(second.checkpoints.all.isEmpty)
        #expect(tables(try keeper(of: second)).isEmpty)
    }

    @Test func `a checkpoint that was not complete does not become so`() throws {
        bench.bench.engine.letCheckpointsGo()
        let remounted = bench.bench.remounted()
        #expect(bench.report("monday", in: remounted)?.complete == false)
        let second = try successor(of: remounted)
        #expect(bench.report("monday", in: second)?.complete == false)
        #expect(bench.extents("monday", in: second) == whole)
    }

    @Test func `a checkpoint's table that is damaged is not believed`() throws {
        let keeper = try keeper()
        let name = try #require(tables(keeper).first)
        let file = try #require(keeper.inherited(name))
        let memory = try SharedMemory(adopting: file)
        withExtendedLifetime(memory) { memory.bytes[3] ^= 1 }
        let second = try successor()
        #expect(bench.report("monday", in: second)?.complete == false)
        #expect(bench.extents("monday", in: second) == whole)
        // Nor is the one that is kept instead.
        let third = try successor(of: second)
        #expect(bench.report("monday", in: third)?.complete == false)
    }

    @Test func `a checkpoint's table of another file than the one at the path is not believed`()
        throws
    {
        let path = bench.bench.source.appending("vm.img")
        try FileManager.default.copyItem(atPath: path.string, toPath: path.string + ".new")
        try FilePath(path.string + ".new").replace(path)
        let second = try successor()
        #expect(bench.report("monday", in: second)?.complete == false)
        #expect(bench.extents("monday", in: second) == whole)
    }
}
