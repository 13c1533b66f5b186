import Foundation
import MirrorCore
import SystemPackage
import Testing

@testable import MirrorEngine

@Suite struct PaceTests {
    @Test(arguments: ["", " min-speed=50M", " pace=full"])
    func `whatever the pace, a job beside a guest that never rests ends, and the twin is equal`(
        options: String
    ) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 8 << 20)
        let guest = try bench.guest("vm.img")
        let seed = UInt64.random(in: 0...UInt64.max)
        let writer = Writer(guest: guest, seed: seed, size: 8 << 20)
        writer.start()
        let start = "mirror vm.img target=\(bench.target)/ max-pause=60000\(options)"
        #expect(bench.command(start).errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == "ready" }, "seed \(seed)")
        writer.stop()
        #expect(bench.command("complete vm.img switch=off").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == "completed" }, "seed \(seed)")
        #expect(bench.isEqual("vm.img"), "seed \(seed)")
    }

    @Test func `requests are timed while a paced job copies, and at no other time`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let guest = try bench.guest("vm.img")
        let start = "mirror vm.img target=\(bench.target)/ copy-mode=background speed=128K"
        #expect(bench.command("\(start) pace=full").errno == nil)
        #expect(!isTimed(guest))
        #expect(bench.command("set vm.img pace=guest min-speed=1M").errno == nil)
        #expect(eventually { isTimed(guest) })
        #expect(bench.command("set vm.img pace=full").errno == nil)
        #expect(eventually { !isTimed(guest) })
        #expect(bench.command("set vm.img pace=guest").errno == nil)
        #expect(eventually { isTimed(guest) })
        #expect(bench.command("cancel vm.img force=on").errno == nil)
        #expect(eventually { !isTimed(guest) })
    }

    @Test
    func `a paced copier takes what processors have to spare, unless that is next to nothing`()
        throws
    {
        let plan = FaultPlan(error: .ioError, first: .max, isLasting: false)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 64 << 20)
        #expect(bench.command("mirror vm.img target=\(bench.target)/").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == "ready" })
        #expect(plan.idleCount(of: .write) > 0)
        // As if the processors had little to spare.
        try bench.makeFile("slow.img", bytes: 64 << 20)
        #expect(bench.command("mirror slow.img target=\(bench.target)/ speed=8M").errno == nil)
        #expect(eventually { onlyOthersWrite(plan) })
        #expect(bench.command("cancel slow.img force=on").errno == nil)
    }

    @Test func `a copier that need not yield, and one that the guest waits for, take their share`()
        throws
    {
        let plan = FaultPlan(error: .ioError, first: .max, isLasting: false)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 16 << 20)
        #expect(bench.command("mirror vm.img target=\(bench.target)/ pace=full").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == "ready" })
        #expect(plan.count(of: .write) > 0 && plan.idleCount(of: .write) == 0)
        let guest = try bench.guest("vm.img")
        #expect(bench.command("set vm.img pace=guest copy-mode=background").errno == nil)
        #expect(bench.command("pause vm.img").errno == nil)
        guest.write([UInt8](repeating: 1, count: 4096), at: 0)
        let before = plan.count(of: .write)
        plan.hang(.write)
        #expect(bench.command("resume vm.img").errno == nil)
        #expect(eventually { plan.count(of: .write) > before })
        #expect(plan.idleCount(of: .write) > 0)
        plan.endHang(.write)
        #expect(bench.command("cancel vm.img").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == "completed" })
    }

    /// Of the calls of the next moment.
    private func onlyOthersWrite(_ plan: FaultPlan) -> Bool {
        let (all, idle) = (plan.count(of: .write), plan.idleCount(of: .write))
        usleep(200_000)
        return plan.count(of: .write) > all && plan.idleCount(of: .write) == idle
    }

    private func isTimed(_ guest: Guest) -> Bool {
        let before = guest.image.timer.meter.loads
        guest.write([1, 2, 3], at: 100)
        try? guest.image.flush(dataOnly: true, through: guest.descriptor)
        let after = guest.image.timer.meter.loads
        let (write, flush) = (
            LatencyMeter.Kind.smallWrite.rawValue, LatencyMeter.Kind.flush.rawValue
        )
        return after[write].count > before[write].count && after[flush].count > before[flush].count
    }
}

/// Waits until it is so; false where it is not within a minute, which only a hang takes.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<60_000 {
        if condition() { return true }
        usleep(1000)
    }
    return false
}
