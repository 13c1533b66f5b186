import Foundation
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// What a job that comes back must not believe, and whom it must not touch.
@Suite struct DoubtTests {
    private static let size = 4 << 20
    let bench: Bench
    private let image: FilePath
    private let twin: FilePath

    init() throws {
        bench = try Bench()
        (image, twin) = (bench.source.appending("vm.img"), bench.target.appending("vm.img"))
        try bench.makeFile("vm.img", bytes: Self.size)
    }

    private func starts(_ more: String = "", on other: Bench? = nil) {
        let bench = other ?? bench
        let reply = bench.command("mirror vm.img target=\(bench.target)/ intent=off \(more)")
        #expect(reply.errno == nil, "\(reply.text)")
        #expect(bench.engine.isInSync("vm.img"))
    }

    private func overwrite(_ path: FilePath, _ bytes: [UInt8], at offset: UInt64) throws {
        let file = try FileDescriptor.openBacking(path, .readWrite)
        defer { try? file.close() }
        try bytes.withUnsafeBytes { try file.writeFully($0, at: offset) }
    }

    /// Changes what the state directory says of the only job.
    private func edit(_ change: (inout JobRecord) -> Void) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: bench.state.string)
        let name = try #require(names.first { $0.hasPrefix("job-") && $0.hasSuffix(".json") })
        let path = bench.state.appending(name)
        var record = try JobRecord(path.content(), name: name)
        change(&record)
        try Data(record.bytes).write(to: URL(fileURLWithPath: path.string))
    }

    private func comesBack(_ engine: Engine, _ how: ReturnProof) {
        let isSo = engine.wait("vm.img") { $0.resumed == how }
        #expect(isSo, "\(engine.job("vm.img")?.resumed.rawValue ?? "no job")")
    }

    private func agrees(_ engine: Engine) {
        #expect(engine.isInSync("vm.img"))
        let isEqual = bench.isEqual("vm.img")
        #expect(isEqual)
    }

    @Test func `what a dead worker had not flushed is copied again`() throws {
        starts()
        let guest = try bench.guest("vm.img")
        for index in 0..<10 { guest.write([1, 2, 3], at: UInt64(index * 100_000)) }
        #expect(bench.engine.isInSync("vm.img"))
        let keeper = try bench.kill(bench.engine)
        // A page that its target has lost.
        try overwrite(twin, [9, 9, 9], at: 300_000)
        let engine = bench.remounted(keeper: keeper)
        comesBack(engine, .worker)
        #expect(engine.job("vm.img")?.resumedBytes == 10 * 4096)
        agrees(engine)
    }

    @Test func `a flush that was under way at the death is copied again`() throws {
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        let bench = try Bench(faults: faults)
        try bench.makeFile("vm.img", bytes: Self.size)
        starts("fsync=both copy-mode=write-blocking", on: bench)
        let guest = try bench.guest("vm.img")
        guest.write([1, 2, 3], at: 300_000)
        faults.hang(.flush)
        let before = faults.count(of: .flush)
        guest.image.flushTwins {}
        #expect(bench.wait("vm.img") { _ in faults.count(of: .flush) > before })
        let engine = try bench.nextWorker(after: bench.engine)
        comesBack(engine, .worker)
        #expect(engine.job("vm.img")?.resumedBytes == 4096)
        #expect(engine.isInSync("vm.img"))
        faults.endHang(.flush)
    }

    @Test func `a flush that failed while another twin was away is not forgotten`() throws {
        try bench.makeFile("b.img", bytes: Self.size)
        let line = "mirror vm.img b.img target=\(bench.target)/ intent=off"
        bench.does(line)
        #expect(bench.engine.isInSync("vm.img"))
        bench.engine.shutDown()
        let other = bench.target.appending("b.img")
        let away = FilePath(other.string + ".away")
        try other.replace(away)
        let faults = FaultPlan(error: .ioError, first: 1, isLasting: false, only: .flush)
        let engine = bench.remounted(faults: faults)
        #expect(engine.wait("vm.img") { $0.error?.contains("is not there") == true })
        #expect(faults.wasReached)
        try away.replace(other)
        bench.does("resume vm.img", in: engine)
        comesBack(engine, .compare)
        // Written, not compared: the page cache proves nothing.
        let job = try #require(engine.jobs.all.first)
        #expect(job.queue.sync { job.members[0].firstPass } == .everything)
        #expect(job.queue.sync { job.members[1].firstPass } != .everything)
        agrees(engine)
        engine.shutDown()
    }

    @Test func `a job whose flush has failed compares nothing any more`() throws {
        let faults = FaultPlan(error: .ioError, first: 1, isLasting: false, only: .flush)
        let bench = try Bench(faults: faults)
        try bench.makeFile("vm.img", bytes: Self.size)
        try FileManager.default.copyItem(
            atPath: bench.source.appending("vm.img").string,
            toPath: bench.target.appending("vm.img").string)
        starts("existing=reuse on-target-error=ignore", on: bench)
        #expect(faults.wasReached)
        let job = try #require(bench.engine.jobs.all.first)
        #expect(job.queue.sync { job.members[0].firstPass } == .everything)
    }

    // What is over.

    @Test func `a job that ends leaves no table behind that could be believed`() throws {
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        let bench = try Bench(faults: faults)
        try bench.makeFile("vm.img", bytes: Self.size)
        starts(on: bench)
        faults.hang(.write)
        try bench.guest("vm.img").write([1], at: 5)
        let tables = {
            (bench.engine.keeper as? LocalKeeper)?.successor().inheritedNames
                .filter { $0.hasPrefix("table-") } ?? []
        }
        #expect(!tables().isEmpty)
        // Its twin hangs, so that its record follows later.
        bench.does("cancel vm.img force=on")
        #expect(tables().isEmpty)
        faults.endHang(.write)
        bench.becomes("vm.img", .cancelled)
    }

    @Test(arguments: ["complete vm.img switch=off", "cancel vm.img force=on"])
    func `a job whose end was told does not write its twin again`(end: String) throws {
        starts()
        let away = FilePath(bench.state.string + ".away")
        bench.engine.records.finishSaving()
        try bench.state.replace(away)
        try Data([1]).write(to: URL(fileURLWithPath: bench.state.string))
        bench.does(end)
        #expect(bench.wait("vm.img") { [.completed, .cancelled].contains($0.phase) })
        let job = try #require(bench.engine.jobs.all.first)
        for _ in 0..<60_000 where !job.hasEnded { usleep(1000) }
        // What the state directory said before is what it says now.
        let keeper = try bench.kill(bench.engine)
        try overwrite(twin, [7, 7, 7], at: 70_000)
        try bench.state.removeFile()
        try away.replace(bench.state)
        let engine = bench.remounted(keeper: keeper)
        let isOver: [JobMachine.Phase] =
            end.hasPrefix("complete") ? [.completed] : [.failed, .cancelled]
        #expect(engine.wait("vm.img") { isOver.contains($0.phase) })
        #expect(try Array(twin.content()[70_000..<70_003]) == [7, 7, 7])
    }

    @Test func `what could not be saved is saved once it can be`() throws {
        _ = try bench.root.appending("var").makeDirectory()
        try Data([1]).write(to: URL(fileURLWithPath: bench.state.string))
        starts()
        #expect(!bench.engine.report().warnings.isEmpty)
        try bench.state.removeFile()
        #expect(bench.wait("vm.img") { _ in bench.engine.report().warnings.isEmpty })
        comesBack(try bench.nextWorker(after: bench.engine), .worker)
    }

    // What the record says.

    @Test func `a record that stayed behind leaves no hole out`() throws {
        let file = try FileDescriptor.openBacking(image, .readWrite)
        try file.allocate([.punchHole, .keepSize], at: 1 << 20, count: 1 << 20)
        try file.close()
        starts()
        _ = try bench.kill(bench.engine)
        // What the hole was not durable over.
        try overwrite(twin, [7, 7, 7], at: (1 << 20) + 70_000)
        try edit { ($0.phase, $0.wasReady) = (.created, false) }
        let engine = bench.remounted()
        comesBack(engine, .clean)
        agrees(engine)
        engine.shutDown()
    }

    @Test func `a generation that was being raised stays raised`() throws {
        starts()
        let keeper = try bench.kill(bench.engine)
        let file = try FileDescriptor.openBacking(twin, .readWrite)
        let stamp = try #require(file.attribute(TwinAttribute.job))
        try file.setAttribute(TwinAttribute.job, stamp.dropLast(1) + "2")
        try file.close()
        try edit { $0.next = 2 }
        let engine = bench.remounted(keeper: keeper)
        comesBack(engine, .worker)
        #expect(engine.isInSync("vm.img"))
        engine.shutDown()
        let third = bench.remounted()
        comesBack(third, .clean)
        third.shutDown()
    }

    // Others.

    @Test func `a file that took the name of the one to be replaced is asked what it is`() throws {
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: twin.string))
        let line = "mirror vm.img target=\(bench.target)/ existing=replace speed=1M"
        bench.does(line)
        #expect(bench.wait("vm.img") { $0.copiedBytes > 0 })
        let keeper = try bench.kill(bench.engine)
        let file = try FileDescriptor.openBacking(twin, .readWrite)
        try file.setAttribute(TwinAttribute.state, "consistent")
        try file.setAttribute(TwinAttribute.image, "other.img")
        try file.close()
        let engine = bench.remounted(keeper: keeper)
        engine.becomes("vm.img", .failed)
        #expect(engine.job("vm.img")?.error?.contains("twin of another image") == true)
        #expect(try twin.content() == [1, 2, 3])
    }

    @Test func `another disk under the name of the target is left alone`() throws {
        let disks = try ["a", "b"].map { name in
            let disk = bench.root.appending(name)
            try Data(count: Self.size).write(to: URL(fileURLWithPath: disk.string))
            return disk.string
        }
        guard let device = try losetup(["--find", "--show", disks[0]]) else { return }
        defer { _ = try? losetup(["-d", device]) }
        bench.does("mirror vm.img target=\(device) intent=off")
        #expect(bench.engine.isInSync("vm.img"))
        // The same disk, for the next worker.
        let second = try bench.nextWorker(after: bench.engine)
        comesBack(second, .worker)
        #expect(second.isInSync("vm.img"))
        let keeper = try bench.kill(second)
        _ = try losetup(["-d", device])
        _ = try losetup([device, disks[1]])
        let third = bench.remounted(keeper: keeper)
        third.becomes("vm.img", .failed)
        #expect(third.job("vm.img")?.error?.contains("another disk") == true)
        let isUntouched = try FilePath(disks[1]).content().allSatisfy { $0 == 0 }
        #expect(isUntouched)
    }

    /// Nil where it fails: not every machine has loop devices.
    private func losetup(_ arguments: [String]) throws -> String? {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        (process.arguments, process.standardOutput) = (["losetup"] + arguments, pipe)
        process.standardError = nil
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus != 0 { return nil }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func `a disk is the same within its boot only`() {
        let disk = DiskNumber(boot: "a", sequence: 3)
        #expect(disk.isSame(as: DiskNumber(boot: "a", sequence: 3)))
        #expect(!disk.isSame(as: DiskNumber(boot: "a", sequence: 4)))
        #expect(!disk.isSame(as: DiskNumber(boot: "b", sequence: 3)))
        let unknown = DiskNumber(boot: "", sequence: nil)
        #expect(!unknown.isSame(as: unknown))
    }
}
