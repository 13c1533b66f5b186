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

@Suite struct FlushBothTests {
    private static let mode = "copy-mode=write-blocking fsync=both"
    /// Without a time of its own a flush waits for 10 s at most, which a busy disk may take for
    /// one.
    private static let options = "\(mode) write-timeout=600000"

    private func bench(_ plan: FaultPlan, _ options: String = Self.options) throws -> (Bench, Guest)
    {
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 300_000)
        let guest = try bench.guest("vm.img")
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.activelySynced })
        return (bench, guest)
    }

    private func healthy() -> FaultPlan {
        FaultPlan(error: .ioError, first: .max, isLasting: false)
    }

    @Test func `a guest's flush is answered after the twin's own, which covers its writes`() throws
    {
        let plan = healthy()
        let (bench, guest) = try bench(plan)
        for step in 0..<20 {
            guest.write([UInt8](repeating: UInt8(step), count: 9000), at: UInt64(step) * 10_001)
            let before = plan.count(of: .flush)
            try guest.flush()
            #expect(plan.count(of: .flush) > before)
        }
        #expect(bench.isEqual("vm.img"))
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        let before = plan.count(of: .flush)
        try guest.flush()
        #expect(plan.count(of: .flush) == before && !guest.image.flushesTwins)
    }

    @Test func `no guest's flush reaches the twin with fsync=source`() throws {
        let plan = healthy()
        let (_, guest) = try bench(plan, "copy-mode=write-blocking")
        let before = plan.count(of: .flush)
        guest.write([1, 2, 3], at: 5)
        try guest.flush()
        #expect(plan.count(of: .flush) == before)
    }

    @Test func `flushes that come at once share the twin's`() throws {
        let plan = healthy()
        // The job makes flushes of its own for the sake of its write-intent log.
        let (_, guest) = try bench(plan, "\(Self.options) intent=off")
        // The flush that made it ready may be under way still: it ends before the next one begins.
        try guest.flush()
        plan.hang(.flush)
        let before = plan.count(of: .flush)
        let answered = Atomic<Int>(0)
        for _ in 0..<50 { guest.image.flushTwins { answered.add(1, ordering: .relaxed) } }
        #expect(eventually { plan.count(of: .flush) == before + 1 })
        #expect(answered.load(ordering: .relaxed) == 0)
        plan.endHang(.flush)
        #expect(eventually { answered.load(ordering: .relaxed) == 50 })
        #expect(plan.count(of: .flush) <= before + 2)
    }

    /// An appended write is not forwarded: the copier brings it, and the flush waits for it.
    @Test func `a flush is not answered before the twin has what was appended`() throws {
        let plan = healthy()
        let (bench, guest) = try bench(plan)
        plan.hang(.write)
        let before = plan.count(of: .write)
        guest.write([UInt8](repeating: 7, count: 9000), at: 300_000)
        #expect(eventually { plan.count(of: .write) > before })
        let answered = Atomic<Bool>(false)
        guest.image.flushTwins { answered.store(true, ordering: .relaxed) }
        // Long enough for an answer that comes too early.
        PlainThread.sleep(.milliseconds(300))
        #expect(answered.load(ordering: .relaxed) == false)
        plan.endHang(.write)
        #expect(eventually { answered.load(ordering: .relaxed) })
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `many threads that write and flush leave a twin that is equal`() throws {
        let (bench, guest) = try bench(healthy())
        DispatchQueue.concurrentPerform(iterations: 6) { thread in
            for step in 0..<60 {
                let bytes = [UInt8](
                    repeating: UInt8(truncatingIfNeeded: step * 7 + thread), count: 700)
                guest.write(bytes, at: UInt64((thread * 7919 + step * 4001) % 299_000))
                #expect(throws: Never.self) { try guest.flush() }
            }
        }
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a twin that cannot be flushed costs the guest no error, and the job says so`()
        throws
    {
        let plan = FaultPlan(error: .ioError, first: 1000, isLasting: true)
        let (bench, guest) = try bench(plan, "\(Self.options) on-target-error=stop")
        for _ in 0..<1000 where bench.job("vm.img")?.paused == false {
            guest.write([1, 2, 3], at: 5)
            try guest.flush()
        }
        #expect(bench.wait("vm.img") { $0.paused && $0.error != nil })
        guest.write([4, 5, 6], at: 100_000)
        try guest.flush()
        plan.mend()
        bench.does("resume vm.img")
        #expect(bench.wait("vm.img") { $0.activelySynced })
        let before = plan.count(of: .flush)
        try guest.flush()
        #expect(plan.count(of: .flush) > before)
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a twin whose flush hangs lets the guest go after write-timeout`() throws {
        let plan = healthy()
        let (bench, guest) = try bench(plan, "\(Self.mode) write-timeout=50")
        plan.hang(.flush)
        try guest.flush()
        #expect(bench.wait("vm.img") { $0.copyMode == .background })
        #expect(bench.events.contains { $0.contains("TWINFS_FELL_BACK") && $0.contains("a flush") })
        try guest.flush()
        plan.endHang(.flush)
        // A busy machine may take 50 ms for a flush that does not hang.
        let again = "set vm.img copy-mode=write-blocking write-timeout=60000"
        bench.does(again)
        #expect(bench.wait("vm.img") { $0.activelySynced })
        let before = plan.count(of: .flush)
        try guest.flush()
        #expect(plan.count(of: .flush) > before)
    }

    @Test func `the end of the job frees a flush that hangs without write-timeout`() throws {
        let plan = healthy()
        let (bench, guest) = try bench(plan, Self.mode)
        plan.hang(.flush)
        let answered = Atomic<Bool>(false)
        guest.image.flushTwins { answered.store(true, ordering: .relaxed) }
        bench.does("cancel vm.img force=on")
        #expect(eventually { answered.load(ordering: .relaxed) })
        plan.endHang(.flush)
        bench.becomes("vm.img", .cancelled)
    }

    @Test func `what contradicts fsync=both, or a delta, is refused while the job runs too`() throws
    {
        let (bench, guest) = try bench(healthy())
        for mode in ["background", "auto"] {
            let result = bench.command("set vm.img speed=1 copy-mode=\(mode)")
            #expect(result.errno == .invalidArgument)
            #expect(result.text.contains("fsync=both"))
        }
        // Nothing of a refused line is done.
        #expect(bench.job("vm.img")?.speed == 0)
        #expect(bench.job("vm.img")?.activelySynced == true)
        let delta = "mirror vm.img target=\(bench.target)/d.img sync=none"
        bench.does(delta)
        #expect(bench.command("set vm.img#2 copy-mode=write-blocking").errno == .invalidArgument)
        _ = guest
    }
}
