import Foundation
import Logging
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// What is left of a job that has ended, or that does not come back, misleads nobody.
@Suite struct EndingTests {
    let bench: Bench
    private let image: FilePath
    private let twin: FilePath

    init() throws {
        bench = try Bench()
        (image, twin) = (bench.source.appending("vm.img"), bench.target.appending("vm.img"))
        try bench.makeFile("vm.img", bytes: 4 << 20)
    }

    /// A job in ready.
    private func ready(_ more: String = "") throws -> Job {
        bench.does("mirror vm.img target=\(bench.target)/ \(more)")
        #expect(bench.engine.isInSync("vm.img"))
        return try #require(bench.engine.jobs.all.first)
    }

    private func wait(until condition: () throws -> Bool) rethrows -> Bool {
        for _ in 0..<6_000 {
            if try condition() { return true }
            usleep(10_000)
        }
        return false
    }

    @Test func `no table can be believed once writes pass unmarked, however long the record takes`()
        throws
    {
        let job = try ready()
        let keeper = try #require(bench.engine.keeper as? LocalKeeper)
        #expect(keeper.successor().inheritedNames.contains { $0.hasPrefix("table-") })
        // What was noted when it became ready has the draft's name for a moment.
        job.queue.sync {}
        bench.engine.records.finishSaving()
        // Nobody reads the pipe: whoever saves waits.
        let pipe = bench.state.appending(JobRecord.name(job.uuid) + StateDirectory.draft)
        #expect(mkfifo(pipe.string, 0o600) == 0)
        bench.engine.execute(Array("cancel vm.img force=on".utf8)) { _ in }
        #expect(wait { job.queue.sync { job.farewell.isDetached } })
        #expect(!keeper.successor().inheritedNames.contains { $0.hasPrefix("table-") })
        let reader = try FileDescriptor.openBacking(pipe, .readOnly, .nonBlocking)
        try pipe.removeFile()
        bench.engine.records.finishSaving()
        try reader.close()
    }

    @Test func `a record that could not be saved is saved when the disk is well`() throws {
        let job = try ready()
        let record = job.queue.sync { job.record() }
        let place = bench.root.appending("other")
        try Data().write(to: URL(fileURLWithPath: place.string))
        let directory = StateDirectory(path: place)
        let records = JobRecords(
            directory: directory, log: Logger(label: "test"), pause: .milliseconds(10))
        #expect(!records.saveNow(record))
        #expect(records.warnings.count == 1)
        try place.removeFile()
        let name = JobRecord.name(record.uuid)
        let isSaved = try wait { try directory.read(name) == record.bytes }
        #expect(isSaved)
        #expect(wait { records.warnings.isEmpty })
    }

    @Test func `a state directory that cannot be read is told, and no table is believed`() throws {
        _ = try ready()
        let keeper = try bench.kill(bench.engine)
        let away = bench.root.appending("away")
        try bench.state.replace(away)
        try Data().write(to: URL(fileURLWithPath: bench.state.string))
        let second = bench.remounted(keeper: keeper)
        #expect(second.jobs.all.isEmpty)
        #expect(second.report().warnings.contains { $0.contains("do not come back") })
        try bench.guest("vm.img", in: second).write([1, 2, 3], at: 70_000)
        try bench.state.removeFile()
        try away.replace(bench.state)
        let third = try bench.nextWorker(after: second)
        #expect(third.isInSync("vm.img") && bench.isEqual("vm.img"))
        #expect(third.job("vm.img")?.resumed == .compare)
    }

    @Test func `what a dead process was about to save is removed`() throws {
        _ = try ready()
        bench.engine.shutDown()
        let drafts = ["job-1.json.new", "intent-1-0.bin.new", "marks-1-0.json.new"].map {
            bench.state.appending($0)
        }
        for draft in drafts { try Data([1]).write(to: URL(fileURLWithPath: draft.string)) }
        let engine = bench.remounted()
        for draft in drafts { #expect((try? draft.status()) == nil) }
        #expect(engine.isInSync("vm.img"))
        engine.shutDown()
    }

    @Test func `a log that cannot be removed is called void when its job does not come back`()
        throws
    {
        let job = try ready()
        let id = "\(job.uuid)-0"
        _ = try bench.kill(bench.engine)
        let log = bench.state.appending(IntentFile.name(id))
        try log.removeFile()
        _ = try log.makeDirectory()
        let other = try FileDescriptor.openBacking(image, .readWrite)
        defer { try? other.close() }
        try other.lockExclusively()
        let engine = bench.remounted()
        #expect(engine.job("vm.img")?.phase == .failed)
        #expect(VoidLabel.isOn(other, id))
    }

    @Test func `a worker starts no job again that had ended under the one before`() throws {
        var configuration = MountConfiguration(
            source: bench.source, mountpoint: bench.root.appending("mount"))
        configuration.target = bench.target
        configuration.stateDirectory = bench.root.appending("own")
        configuration.defaults = try JobParameters(
            parsing: [.init(key: Array("existing".utf8), value: Array("reuse".utf8))])
        let source = try FileDescriptor.openBacking(bench.source, .readOnly, .directory)
        defer { try? source.close() }
        func engine(_ keeper: LocalKeeper) -> Engine {
            Engine(
                configuration: configuration, source: source, log: Logger(label: "test"),
                keeper: keeper)
        }
        let keeper = LocalKeeper()
        let first = engine(keeper)
        first.startAllWanted()
        #expect(first.isInSync("vm.img"))
        bench.does("complete vm.img switch=off", in: first)
        #expect(first.wait("vm.img") { $0.status == .concluded })
        first.records.finishSaving()
        try bench.makeFile("b.img", bytes: 1 << 20)
        let second = engine(keeper.successor())
        second.startAllWanted()
        #expect(second.isInSync("b.img"))
        #expect(second.jobs.all.count == 1)
        second.shutDown()
    }

    @Test func `a twin of another image that has the name meanwhile is not replaced`() throws {
        try Data([1]).write(to: URL(fileURLWithPath: twin.string))
        let start = "mirror vm.img target=\(bench.target)/ existing=replace speed=1M"
        bench.does(start)
        #expect(bench.wait("vm.img") { $0.copiedBytes > 0 })
        let keeper = try bench.kill(bench.engine)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: twin.string))
        let file = try FileDescriptor.openBacking(twin, .readWrite)
        try file.setAttribute(TwinAttribute.image, "other.img")
        try file.close()
        let engine = bench.remounted(keeper: keeper)
        engine.becomes("vm.img", .failed)
        #expect(engine.job("vm.img")?.error?.contains("twin of another image") == true)
        #expect(try twin.content() == [1, 2, 3])
    }
}
