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

/// Every call on the target fails once in some run: the scenario runs again with the Nth call
/// failing, for N = 1, 2, 3, …, until a run ends in which the fault was never reached.
@Suite struct FaultTests {
    /// Under the sanitizer not every call.
    private static let numbers = stride(from: 1, through: 500, by: Bench.every(1))

    private func errors(_ bench: Bench) -> [String] {
        bench.events.filter { $0.contains("BLOCK_JOB_ERROR") }
    }

    @Test(arguments: [false, true])
    func `whichever call on the target fails, the guest sees nothing and the twin ends equal`(
        isLasting: Bool
    ) throws {
        for number in Self.numbers {
            let plan = FaultPlan(error: .ioError, first: number, isLasting: isLasting)
            // In memory: the disk's flushes would take most of the time.
            let bench = try Bench("/dev/shm", faults: plan)
            try scenario(bench, plan, number, "stop")
            if !plan.wasReached { return }
        }
        Issue.record("the scenario makes more calls than this test follows")
    }

    @Test(arguments: [false, true], ["background", "write-blocking"])
    func `with ignore the job gets over whichever call fails without a resume`(
        isLasting: Bool, mode: String
    ) throws {
        for number in Self.numbers {
            let plan = FaultPlan(error: .ioError, first: number, isLasting: isLasting)
            // In memory: the disk's flushes would take most of the time.
            let bench = try Bench("/dev/shm", faults: plan)
            try scenario(bench, plan, number, "ignore copy-mode=\(mode) max-retries=1000")
            let events = errors(bench)
            #expect(events.isEmpty != plan.wasReached, "fault \(number)")
            #expect(events.allSatisfy { $0.contains("\"ignore\"") }, "fault \(number)")
            if !plan.wasReached { return }
        }
        Issue.record("the scenario makes more calls than this test follows")
    }

    /// Also a target that takes every write, and fails every flush.
    @Test(arguments: [FaultPlan.Call.write, .flush, .setSize, .publish])
    func `with ignore a fault that lasts ends in stop after max-retries`(call: FaultPlan.Call)
        throws
    {
        let plan = FaultPlan(error: .ioError, first: 1, isLasting: true, only: call)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 300_000)
        let start = "mirror vm.img target=\(bench.target)/ on-target-error=ignore max-retries=2"
        bench.does(start)
        #expect(bench.wait("vm.img") { $0.paused })
        // The last one is told after the status shows it.
        #expect(eventually { errors(bench).count == 3 })
        let actions = errors(bench).map { $0.contains("\"ignore\"") ? "ignore" : "stop" }
        #expect(actions == ["ignore", "ignore", "stop"])
        #expect(bench.job("vm.img")?.error?.contains("twinfs resume vm.img") == true)
        plan.mend()
        bench.does("resume vm.img")
        #expect(
            bench.wait("vm.img") { $0.phase == .ready && $0.error == nil && $0.ioStatus == .ok })
        #expect(bench.isEqual("vm.img"))
    }

    private func scenario(_ bench: Bench, _ plan: FaultPlan, _ number: Int, _ policy: String)
        throws
    {
        try bench.makeFile("vm.img", bytes: 300_000)
        let guest = try bench.guest("vm.img")
        bench.does("mirror vm.img target=\(bench.target)/ on-target-error=\(policy)")
        for step in 0..<4 {
            let bytes = [UInt8](repeating: UInt8(step + 1), count: 5000)
            guard case .done(5000) = guest.write(bytes, at: UInt64(step) * 70_000 + 1) else {
                Issue.record("the guest saw an error (fault \(number))")
                return
            }
        }
        guest.allocate([.punchHole, .keepSize], at: 40_000, count: 90_000)
        guest.truncate(to: 310_000)
        #expect(reach(.ready, bench, plan), "fault \(number)")
        guest.write([9, 9, 9], at: 200_000)
        bench.does("complete vm.img switch=off")
        #expect(reach(.completed, bench, plan), "fault \(number)")
        #expect(bench.job("vm.img")?.error == nil && bench.job("vm.img")?.ioStatus == .ok)
        #expect(bench.isEqual("vm.img"), "fault \(number)")
    }

    /// Waits for a phase; mends the disk and resumes whenever the job has stopped.
    private func reach(_ phase: JobMachine.Phase, _ bench: Bench, _ plan: FaultPlan) -> Bool {
        bench.wait("vm.img") { job in
            if job.ioStatus != .ok { plan.mend() }
            if job.paused { bench.command("resume vm.img") }
            return job.phase == phase
        }
    }

    @Test func `with the default policy a full target stops the job and says what to do`() throws {
        let plan = FaultPlan(error: .noSpace, first: 3, isLasting: true)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 300_000)
        bench.does("mirror vm.img target=\(bench.target)/")
        #expect(bench.wait("vm.img") { $0.paused && $0.ioStatus == .nospace })
        #expect(bench.job("vm.img")?.error?.contains("twinfs resume vm.img") == true)
        #expect(eventually { errors(bench).contains { $0.contains("\"stop\"") } })
        plan.mend()
        bench.does("resume vm.img")
        #expect(
            bench.wait("vm.img") { $0.phase == .ready && $0.error == nil && $0.ioStatus == .ok })
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `with the default policy any other error of the target fails the job alone`() throws
    {
        let plan = FaultPlan(error: .ioError, first: 3, isLasting: true)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 300_000)
        bench.does("mirror vm.img target=\(bench.target)/")
        #expect(bench.wait("vm.img") { $0.phase == .failed && $0.targetState == .inconsistent })
        let guest = try bench.guest("vm.img")
        guard case .done(3) = guest.write([1, 2, 3], at: 5) else {
            Issue.record("the guest saw the target's error")
            return
        }
    }
}
