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

/// A worker dies, and its successor goes on with its jobs where they were.
@Suite struct WorkerRestartTests {
    private static let size = 16 << 20
    let bench: Bench

    init() throws {
        bench = try Bench()
        try bench.makeFile("vm.img", bytes: Self.size)
    }

    private func start(_ more: String = "", _ image: String = "vm.img") {
        let reply = bench.command("mirror \(image) target=\(bench.target)/ \(more)")
        #expect(reply.errno == nil, "\(reply.text)")
    }

    private func starts(_ more: String = "", until: (JobReport) -> Bool) {
        start(more)
        let isSo = bench.wait("vm.img", until: until)
        #expect(isSo)
    }

    /// In the mount of the engine, or where its own file serves the image.
    private func isEqual(_ name: String = "vm.img") -> Bool { bench.isEqual(name) }

    @Test func `a job in bulk goes on after a worker's death with what was left`() throws {
        starts("speed=4M") { $0.copiedBytes >= 2 << 20 }
        let before = try #require(bench.job("vm.img"))
        // What was not flushed would be copied again.
        let live = try #require(bench.engine.jobs.all.first)
        live.queue.sync { live.twinFlush.begin(settles: false) }
        #expect(bench.wait("vm.img") { _ in live.queue.sync { !live.underWay.has(.flush) } })
        let engine = try bench.nextWorker(after: bench.engine)
        let job = try #require(engine.job("vm.img"))
        #expect(job.phase == .bulk && job.speed == 4 << 20)
        let guest = try bench.guest("vm.img", in: engine)
        guest.write([UInt8](repeating: 7, count: 100_000), at: 5)
        #expect(engine.wait("vm.img") { $0.resumed == .worker })
        let left = try #require(engine.job("vm.img")?.resumedBytes)
        #expect(left <= Self.size - before.copiedBytes + (4 << 20) && left > 0)
        bench.does("set vm.img speed=0", in: engine)
        #expect(engine.isInSync("vm.img"))
        #expect(isEqual())
        #expect(engine.eventWords.contains("TWINFS_JOB_RESUMED"))
        #expect(engine.eventWords.contains("BLOCK_JOB_READY"))
    }

    @Test func `a job in ready copies after a worker's death what was dirty, and nothing else`()
        throws
    {
        starts { $0.phase == .ready }
        bench.does("pause vm.img")
        let guest = try bench.guest("vm.img")
        for index in 0..<10 { guest.write([1, 2, 3], at: UInt64(index * 1_000_000)) }
        let engine = try bench.nextWorker(after: bench.engine)
        #expect(engine.wait("vm.img") { $0.resumed == .worker })
        let job = try #require(engine.job("vm.img"))
        #expect(job.phase == .ready && job.paused && job.status == .standby)
        #expect(job.resumedBytes == 10 * 4096 && !isEqual())
        bench.does("resume vm.img", in: engine)
        #expect(engine.isInSync("vm.img"))
        #expect(isEqual())
        #expect((engine.job("vm.img")?.copiedBytes ?? 0) - job.copiedBytes == 10 * 4096)
    }

    @Test func `a job that was started a moment ago comes back, whatever was marked`() throws {
        for _ in 0..<5 {
            let bench = try Bench()
            try bench.makeFile("vm.img", bytes: 1 << 20)
            let reply = bench.command("mirror vm.img target=\(bench.target)/ speed=1M")
            #expect(reply.errno == nil)
            let engine = try bench.nextWorker(after: bench.engine)
            bench.does("set vm.img speed=0", in: engine)
            #expect(engine.isInSync("vm.img"))
            #expect(bench.isEqual("vm.img"))
        }
    }

    @Test func `forwarded writes that were under way are copied again`() throws {
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        let bench = try Bench(faults: faults)
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let start = "mirror vm.img target=\(bench.target)/ copy-mode=write-blocking"
        bench.does(start)
        #expect(bench.wait("vm.img") { $0.activelySynced })
        faults.hang(.write)
        let guest = try bench.guest("vm.img")
        let writer = Thread { guest.write([UInt8](repeating: 9, count: 8192), at: 40_960) }
        writer.start()
        while (try? guest.descriptor.readBytes(at: 40_960, count: 1)) != [9] { usleep(1000) }
        let engine = try bench.nextWorker(after: bench.engine)
        #expect(engine.isInSync("vm.img"))
        #expect(bench.isEqual("vm.img"))
        faults.endHang(.write)
    }

    @Test func `a soft end that was asked for comes, and is told once it is durable`() throws {
        starts { $0.phase == .ready }
        bench.does("pause vm.img")
        let guest = try bench.guest("vm.img")
        guest.write([5], at: 77)
        bench.does("set vm.img speed=1")
        bench.does("complete vm.img switch=off")
        bench.engine.records.finishSaving()
        let engine = try bench.nextWorker(after: bench.engine)
        #expect(engine.wait("vm.img") { $0.resumed == .worker })
        #expect(engine.job("vm.img")?.phase == .completing)
        _ = bench.command("resume vm.img", in: engine)
        _ = bench.command("set vm.img speed=0", in: engine)
        engine.becomes("vm.img", .completed)
        #expect(isEqual())
        // The end is kept until it is dismissed.
        let third = try bench.nextWorker(after: engine)
        #expect(third.job("vm.img")?.phase == .completed)
        #expect(bench.command("pause vm.img", in: third).errno != nil)
        bench.does("dismiss vm.img", in: third)
        #expect(third.report().jobs.isEmpty)
        #expect(try bench.nextWorker(after: third).report().jobs.isEmpty)
    }

    @Test func `a switch-over that was recorded is done, one that was not goes on`() throws {
        starts { $0.phase == .ready }
        bench.does("pause vm.img")
        bench.does("complete vm.img")
        let engine = try bench.nextWorker(after: bench.engine)
        #expect(engine.wait("vm.img") { $0.resumed == .worker })
        #expect(engine.job("vm.img")?.phase == .completing)
        bench.does("resume vm.img", in: engine)
        engine.becomes("vm.img", .completed)
        #expect(engine.job("vm.img")?.serving != "source")
        // As if the worker had died between the commit and the end's record.
        let id = try #require(engine.jobs.all.first?.uuid)
        let path = bench.state.appending(JobRecord.name(id))
        engine.records.finishSaving()
        var record = try JobRecord(path.content(), name: JobRecord.name(id))
        (record.ended, record.phase, record.ending) = (nil, .completing, .switchOver)
        try Data(record.bytes).write(to: URL(fileURLWithPath: path.string))
        let third = try bench.nextWorker(after: engine)
        #expect(third.job("vm.img")?.phase == .completed)
        #expect(third.job("vm.img")?.serving == "\(bench.target)/vm.img")
    }

    /// The twin is marked first, then the record is written: a death in between.
    @Test(arguments: [true, false])
    func `a switch-over that had marked its twin and was not recorded goes on`(
        isOwn: Bool
    ) throws {
        starts { $0.phase == .ready }
        let keeper = try bench.kill(bench.engine)
        let twin = try FileDescriptor.openBacking(bench.target.appending("vm.img"), .readWrite)
        defer { try? twin.close() }
        try twin.mark(serving: "0a0b0c 7")
        // With the record lost, the image's file still says what took its place.
        if !isOwn {
            let home = try FileDescriptor.openBacking(bench.source.appending("vm.img"), .readWrite)
            defer { try? home.close() }
            try home.mark(superseded: .init(id: "0a0b0c", generation: 7, place: "/twin"))
        }
        let engine = bench.remounted(keeper: keeper)
        guard isOwn else {
            engine.becomes("vm.img", .failed)
            #expect(try FileLabels(of: twin).serving == "0a0b0c 7")
            return
        }
        #expect(engine.wait("vm.img") { $0.resumed == .worker })
        #expect(engine.isInSync("vm.img"))
        #expect(try FileLabels(of: twin).serving == nil)
        bench.does("complete vm.img", in: engine)
        engine.becomes("vm.img", .completed)
        #expect(try FileLabels(of: twin).serving != nil)
    }

    @Test func `a delta has what was written before a worker's death and after it`() throws {
        starts("sync=none") { $0.phase == .ready }
        let guest = try bench.guest("vm.img")
        guest.write([1], at: 4096)
        #expect(bench.wait("vm.img") { $0.dirtyBytes == 0 && $0.inFlightBytes == 0 })
        let engine = try bench.nextWorker(after: bench.engine)
        try bench.guest("vm.img", in: engine).write([2], at: 40_960)
        #expect(engine.wait("vm.img") { $0.resumed == .worker && $0.dirtyBytes == 0 })
        bench.does("cancel vm.img", in: engine)
        engine.becomes("vm.img", .completed)
        let list = try bench.target.appending("vm.img.delta.extents").content()
        let text = String(decoding: list, as: UTF8.self)
        #expect(text.contains("\"start\":4096") && text.contains("\"start\":40960"))
        let delta = try bench.target.appending("vm.img.delta").content()
        #expect(delta[4096] == 1 && delta[40960] == 2)
    }

    @Test func `a group comes back as a whole after a worker's death`() throws {
        try bench.makeFile("b.img", bytes: 1 << 20)
        let line = "mirror vm.img b.img target=\(bench.target)/ speed=4M"
        bench.does(line)
        #expect(bench.wait("vm.img") { $0.copiedBytes > 1 << 20 })
        let engine = try bench.nextWorker(after: bench.engine)
        try bench.guest("b.img", in: engine).write([3], at: 12_345)
        #expect(engine.job("vm.img")?.images == ["vm.img", "b.img"])
        bench.does("set vm.img speed=0", in: engine)
        #expect(engine.isInSync("vm.img"))
        #expect(isEqual() && isEqual("b.img"))
    }

    @Test func `a file that is to be replaced stays until the twin is ready`() throws {
        let old = bench.target.appending("vm.img")
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: old.string))
        starts("existing=replace speed=4M") { $0.copiedBytes > 0 }
        let engine = try bench.nextWorker(after: bench.engine)
        #expect(try old.content() == [1, 2, 3])
        bench.does("set vm.img speed=0", in: engine)
        #expect(engine.isInSync("vm.img"))
        #expect(isEqual())
    }

    @Test func `a twin that is reused goes on being compared after a worker's death`() throws {
        try FileManager.default.copyItem(
            atPath: bench.source.appending("vm.img").string,
            toPath: bench.target.appending("vm.img").string)
        starts("existing=reuse speed=4M") { $0.copiedBytes > 0 }
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        let engine = try bench.nextWorker(after: bench.engine, faults: faults)
        bench.does("set vm.img speed=0", in: engine)
        #expect(engine.isInSync("vm.img"))
        // The first granule comes last of all, and is copied.
        #expect(isEqual() && faults.count(of: .write) <= 1)
    }

    @Test func `marks are kept while the target is away, and the job goes on when it is back`()
        throws
    {
        starts { $0.phase == .ready }
        let away = FilePath(bench.target.string + ".away")
        let keeper = try bench.kill(bench.engine)
        try bench.target.replace(away)
        let engine = bench.remounted(keeper: keeper)
        try bench.guest("vm.img", in: engine).write([8, 8], at: 300_000)
        #expect(engine.wait("vm.img") { $0.error != nil })
        let job = try #require(engine.job("vm.img"))
        #expect(job.phase == .ready && job.ioStatus == .failed && job.targetState != .synced)
        #expect(job.error?.contains("is not there") == true)
        try away.replace(bench.target)
        bench.does("resume vm.img", in: engine)
        #expect(engine.isInSync("vm.img"))
        #expect(isEqual() && engine.job("vm.img")?.error == nil)
    }

    @Test func `a target that hangs delays nobody, and its job can be cancelled`() throws {
        starts { $0.phase == .ready }
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        faults.hang(.flush)
        let engine = try bench.nextWorker(after: bench.engine, faults: faults)
        try bench.guest("vm.img", in: engine).write([8, 8], at: 300_000)
        #expect(engine.job("vm.img")?.phase == .ready)
        #expect(engine.job("vm.img")?.dirtyBytes == 4096)
        bench.does("cancel vm.img force=on", in: engine)
        engine.becomes("vm.img", .cancelled)
        faults.endHang(.flush)
    }

    @Test func `a twin that cannot be flushed after the death is written again`() throws {
        starts { $0.phase == .ready }
        let faults = FaultPlan(error: .ioError, first: 1, isLasting: false, only: .flush)
        let engine = try bench.nextWorker(after: bench.engine, faults: faults)
        #expect(engine.isInSync("vm.img"))
        #expect(engine.job("vm.img")?.resumed == .compare && faults.wasReached)
        #expect(isEqual())
    }

    @Test func `what a verification had found is compared again, one under way is told of`() throws
    {
        starts { $0.phase == .ready }
        let twin = try FileDescriptor.openBacking(bench.target.appending("vm.img"), .readWrite)
        try [UInt8](repeating: 3, count: 5).withUnsafeBytes { try twin.writeFully($0, at: 999) }
        try twin.close()
        bench.does("verify vm.img")
        #expect(bench.wait("vm.img") { !$0.verifying && $0.mismatchedBytes ?? 0 > 0 })
        let engine = try bench.nextWorker(after: bench.engine)
        #expect(engine.wait("vm.img") { $0.resumed == .compare })
        #expect(engine.isInSync("vm.img") && isEqual())
        bench.does("verify vm.img", in: engine)
        #expect(engine.wait("vm.img") { !$0.verifying && $0.verifiedBytes == Self.size })
        bench.does("set vm.img speed=1M", in: engine)
        bench.does("verify vm.img", in: engine)
        let third = try bench.nextWorker(after: engine)
        #expect(third.wait("vm.img") { $0.resumed == .worker })
        #expect(third.job("vm.img")?.verifyError?.contains("restart") == true)
    }

    @Test func `an image that was renamed and not noted is found by what it is`() throws {
        starts { $0.phase == .ready }
        let keeper = try bench.kill(bench.engine)
        let folder = bench.source.appending("sub")
        _ = try folder.makeDirectory()
        try bench.source.appending("vm.img").replace(folder.appending("new.img"))
        let engine = bench.remounted(keeper: keeper)
        #expect(engine.wait("vm.img") { $0.resumed == .worker })
        #expect(engine.job("vm.img")?.images == ["sub/new.img"])
        #expect(engine.isInSync("vm.img"))
    }

    @Test func `ten deaths of workers in a row lose nothing`() throws {
        starts("speed=2M") { $0.copiedBytes > 0 }
        var engine = bench.engine
        for round in 0..<10 {
            let guest = try bench.guest("vm.img", in: engine)
            for _ in 0..<20 {
                let at = UInt64.random(in: 0..<UInt64(Self.size))
                guest.write([UInt8](repeating: UInt8(round), count: 9000), at: at)
            }
            if round == 5 { guest.truncate(to: 9 << 20) }
            engine = try bench.nextWorker(after: engine)
            #expect(engine.wait("vm.img") { $0.resumed == .worker })
        }
        bench.does("set vm.img speed=0", in: engine)
        #expect(engine.isInSync("vm.img"))
        #expect(isEqual())
    }
}
