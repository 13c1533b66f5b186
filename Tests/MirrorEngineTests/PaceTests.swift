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

    @Test func `beside a guest a copier takes what processors have to spare`() throws {
        let plan = FaultPlan(error: .ioError, first: .max, isLasting: false)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 64 << 20)
        let start = "mirror vm.img target=\(bench.target)/ copy-mode=background"
        #expect(bench.command("\(start) speed=40M min-speed=40M").errno == nil)
        #expect(eventually { plan.count(of: .write) > 0 })
        #expect(plan.idleCount(of: .write) == 0)
        let guest = try bench.guest("vm.img")
        let writer = Writer(guest: guest, seed: .random(in: 0...UInt64.max), size: 64 << 20)
        writer.start()
        #expect(eventually { plan.idleCount(of: .write) > 0 })
        writer.stop()
        #expect(bench.command("cancel vm.img force=on").errno == nil)
    }

    @Test
    func `a copier that gets next to nothing of what it may take takes its share for a second`() {
        var pace = Pace(JobParameters())
        #expect(!pace.givesWay)
        let request = LatencyMeter.Load(count: 10, nanoseconds: 1000)
        func window(copied: Int) -> Pacer.Window {
            .init(
                seconds: 0.1, loads: LatencyMeter.Kind.allCases.map { _ in request }, copied: copied
            )
        }
        // Out of idle, and through a probe.
        for _ in 0..<8 { pace.pacer?.take(window(copied: 50 << 20)) }
        for copied in [0, 50 << 20, 2 << 20] {
            pace.seeStarving(window(copied: copied), ceiling: 0)
            #expect(pace.givesWay)
        }
        // As much as was allowed.
        pace.seeStarving(window(copied: 100_000), ceiling: 1 << 20)
        #expect(pace.givesWay)
        pace.seeStarving(window(copied: 1 << 20), ceiling: 0)
        for _ in 0..<10 {
            #expect(!pace.givesWay)
            pace.seeStarving(window(copied: 50 << 20), ceiling: 0)
        }
        #expect(pace.givesWay)
    }

    @Test func `a copier that need not yield takes its share`() throws {
        let plan = FaultPlan(error: .ioError, first: .max, isLasting: false)
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 16 << 20)
        let guest = try bench.guest("vm.img")
        let writer = Writer(guest: guest, seed: .random(in: 0...UInt64.max), size: 16 << 20)
        writer.start()
        let start = "mirror vm.img target=\(bench.target)/"
        #expect(bench.command("\(start) pace=full copy-mode=background speed=32M").errno == nil)
        #expect(eventually { plan.count(of: .write) > 20 })
        #expect(plan.idleCount(of: .write) == 0)
        writer.stop()
        #expect(bench.command("cancel vm.img force=on").errno == nil)
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
