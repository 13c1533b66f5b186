import Foundation
import MirrorCore
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

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
        bench.does(start)
        bench.becomes("vm.img", .ready, note: "seed \(seed)")
        writer.stop()
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed, note: "seed \(seed)")
        #expect(bench.isEqual("vm.img"), "seed \(seed)")
    }

    @Test func `requests are timed while a paced job copies, and at no other time`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let guest = try bench.guest("vm.img")
        let start = "mirror vm.img target=\(bench.target)/ copy-mode=background speed=128K"
        bench.does("\(start) pace=full")
        #expect(!isTimed(guest))
        bench.does("set vm.img pace=guest min-speed=1M")
        #expect(eventually { isTimed(guest) })
        bench.does("set vm.img pace=full")
        #expect(eventually { !isTimed(guest) })
        bench.does("set vm.img pace=guest")
        #expect(eventually { isTimed(guest) })
        bench.does("cancel vm.img force=on")
        #expect(eventually { !isTimed(guest) })
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
