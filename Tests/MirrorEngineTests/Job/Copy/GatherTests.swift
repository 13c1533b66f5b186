import Foundation
import MirrorCore
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// What a ready job copies when, and whom marks wake.
@Suite struct GatherTests {
    private func ready(
        _ options: String,
        _ plan: FaultPlan = FaultPlan(error: .ioError, first: .max, isLasting: true)
    ) throws -> (bench: Bench, guest: Guest, job: Job) {
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        let start =
            "mirror vm.img target=\(bench.target)/ copy-mode=background intent=off \(options)"
        bench.does(start)
        #expect(bench.engine.isInSync("vm.img"))
        return (bench, guest, try #require(bench.engine.jobs.all.first))
    }

    /// No more passes than there is time for, however long the machine takes.
    @Test func `a granule that is written again and again is copied once for many writes`() throws {
        let plan = FaultPlan(error: .ioError, first: .max, isLasting: true)
        let (bench, guest, job) = try ready("", plan)
        job.queue.sync { job.copier.gathering.lastPass = Gathering.longest }
        let (before, began) = (plan.count(of: .write), ContinuousClock.now)
        for _ in 0..<20 {
            guest.write([1, 2, 3], at: 70_000)
            job.queue.sync { job.copier.gathering.lastPass = Gathering.longest }
            usleep(5000)
        }
        let most = Int((ContinuousClock.now - began) / Gathering.longest) + 1
        #expect(plan.count(of: .write) - before <= most)
        #expect(bench.engine.isInSync("vm.img"))
        let isEqual = bench.isEqual("vm.img")
        #expect(isEqual)
    }

    @Test(arguments: ["complete vm.img switch=off", "cancel vm.img"])
    func `a job's end does not wait for what gathers`(command: String) throws {
        let (bench, guest, job) = try ready("")
        job.queue.sync { job.copier.gathering.lastPass = Gathering.longest }
        guest.write([1, 2, 3], at: 70_000)
        bench.does(command)
        bench.becomes("vm.img", .completed)
        let isLeft = job.queue.sync { job.copier.gathering.until != nil }
        #expect(!isLeft)
        let isEqual = bench.isEqual("vm.img")
        #expect(isEqual)
    }

    /// Asleep, the table would have the queue woken by the next mark.
    @Test func `marks of a paused job wake nobody, and it goes on when it is resumed`() throws {
        let (bench, guest, job) = try ready("")
        bench.does("pause vm.img")
        for index in 0..<20 {
            guest.write([1, 2, 3], at: UInt64(index) * 50_000)
            usleep(5000)
            let isAsleep = job.queue.sync { job.members[0].table.isAsleep }
            #expect(!isAsleep)
        }
        bench.does("resume vm.img")
        #expect(bench.engine.isInSync("vm.img"))
        let isEqual = bench.isEqual("vm.img")
        #expect(isEqual)
    }
}
