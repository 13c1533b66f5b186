import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// What QEMU's iotests check of errors: which event, which state, and how the job goes on.
@Suite struct ErrorParityTests {
    /// How a job of 1 MiB stands after an error.
    enum Outcome: Sendable {
        case fails
        case stops(ioStatus: JobMachine.IOStatus)
        case goesOn
    }

    // 041 (TestReadErrors)
    @Test(arguments: [
        ("report", Outcome.fails), ("enospc", .fails), ("stop", .stops(ioStatus: .failed)),
        ("ignore", .goesOn),
    ])
    func `an error of the source does what on-source-error says`(
        policy: String, outcome: Outcome
    ) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let options = "speed=1 on-source-error=\(policy)"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .bulk)
        let source = try BrokenSource(bench, "vm.img")
        // The first granule may have met it already, and the job be over.
        bench.command("set vm.img speed=0")
        #expect(bench.wait("vm.img") { $0.errorsSource > 0 })
        try check(bench, outcome, "read") { source.mend() }
        if case .fails = outcome { return }
        #expect(bench.isEqual("vm.img"))
    }

    // 041 (TestWriteErrors), 248
    @Test(arguments: [
        ("report", Errno.ioError, Outcome.fails), ("report", .noSpace, .fails),
        ("stop", .ioError, .stops(ioStatus: .failed)),
        ("stop", .noSpace, .stops(ioStatus: .nospace)),
        ("enospc", .ioError, .fails), ("enospc", .noSpace, .stops(ioStatus: .nospace)),
        ("enospc", .diskQuotaExceeded, .stops(ioStatus: .nospace)),
        ("ignore", .ioError, .goesOn), ("ignore", .noSpace, .goesOn),
    ])
    func `an error of the target does what on-target-error says`(
        policy: String, error: Errno, outcome: Outcome
    ) throws {
        let store = ScriptedStore(bytes: 1 << 20)
        store.fail(.write, error)
        let bench = try store.bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let options = "on-target-error=\(policy)"
        let start = "mirror vm.img target=nbd://test/store \(options)"
        bench.does(start)
        #expect(bench.wait("vm.img") { $0.errorsTarget > 0 })
        try check(bench, outcome, "write") {}
        if case .fails = outcome { return }
        let isEqual = store.holds(bench.content("vm.img"))
        #expect(isEqual)
    }

    private func check(
        _ bench: Bench, _ outcome: Outcome, _ side: String, _ mend: () -> Void
    ) throws {
        #expect(bench.eventually { !bench.data(of: "BLOCK_JOB_ERROR").isEmpty })
        let error = try #require(bench.data(of: "BLOCK_JOB_ERROR").first)
        #expect(error["operation"] as? String == side && error["device"] as? String == "vm.img")
        switch outcome {
        case .fails:
            #expect(error["action"] as? String == "report")
            return try checkFailure(bench)
        case .stops(let ioStatus):
            #expect(error["action"] as? String == "stop")
            #expect(bench.wait("vm.img") { $0.paused && $0.status == .paused })
            #expect(bench.job("vm.img")?.ioStatus == ioStatus)
            mend()
            bench.does("resume vm.img")
        case .goesOn:
            #expect(error["action"] as? String == "ignore")
            #expect(bench.job("vm.img")?.paused == false)
            mend()
        }
        let isReady = bench.wait("vm.img") {
            $0.phase == .ready && !$0.paused && $0.ioStatus == .ok && $0.error == nil
        }
        #expect(isReady)
        let stop = if case .stops = outcome { ["paused", "running"] } else { [String]() }
        // The status can be seen a moment before its event is written.
        #expect(bench.eventually { bench.statusChanges("vm.img").last == "ready" })
        #expect(bench.statusChanges("vm.img") == ["running"] + stop + ["ready"])
        bench.does("cancel vm.img")
        #expect(bench.ends("vm.img", .completed))
    }

    /// In QEMU too a failed job is COMPLETED, with an error.
    private func checkFailure(_ bench: Bench) throws {
        #expect(bench.ends("vm.img", .failed))
        #expect(bench.blockEvents == ["BLOCK_JOB_ERROR", "BLOCK_JOB_COMPLETED"])
        let end = try #require(bench.data(of: "BLOCK_JOB_COMPLETED").first)
        #expect(
            (end["error"] as? String)?.contains("failed: ") == true
                || (end["error"] as? String)?.contains("nospace") == true)
        #expect(end["type"] as? String == "mirror" && end["device"] as? String == "vm.img")
        #expect(bench.statusChanges("vm.img") == ["running", "aborting", "concluded"])
        let guest = try bench.guest("vm.img")
        guard case .done(3) = guest.write([1, 2, 3], at: 5) else {
            Issue.record("the guest saw the error")
            return
        }
    }

    // 041 (test_ignore_write); that it ends is ours
    @Test func `ignore tries again as often as max-retries says, then stops`() throws {
        let store = ScriptedStore(bytes: 1 << 20)
        store.fail(.write, .ioError, times: .max)
        let bench = try store.bench()
        try bench.makeFile("vm.img", bytes: 300_000)
        let options = "on-target-error=ignore max-retries=2 buf-size=64K"
        let start = "mirror vm.img target=nbd://test/store \(options)"
        bench.does(start)
        #expect(bench.wait("vm.img") { $0.paused })
        #expect(bench.eventually { bench.data(of: "BLOCK_JOB_ERROR").count == 3 })
        let actions = bench.data(of: "BLOCK_JOB_ERROR").map { $0["action"] as? String }
        #expect(actions == ["ignore", "ignore", "stop"])
        store.mend()
        bench.does("resume vm.img")
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.ioStatus == .ok })
    }

    // 248, and further than it: the way out of a full disk need not be room
    @Test(arguments: ["", " force=on"])
    func `a job that stands for want of space is cancelled`(force: String) throws {
        let plan = FaultPlan(error: .noSpace, first: 3, isLasting: true)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 300_000)
        bench.does("mirror vm.img target=\(bench.target)/")
        #expect(bench.wait("vm.img") { $0.paused && $0.ioStatus == .nospace })
        bench.does("cancel vm.img\(force)")
        #expect(bench.ends("vm.img", .cancelled))
        plan.mend()
        // What it left is in nobody's way.
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.becomes("vm.img#2", .ready)
        #expect(bench.isEqual("vm.img"))
    }
}
