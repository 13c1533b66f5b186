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

/// `copy-mode=write-blocking`: writes that overlap, from many threads, on a target that fails now
/// and then.
@Suite struct WriteBlockingTests {
    private static let size = UInt64(1 << 20)

    /// Eight writers in one megabyte, any sizes and alignments. After each round the job must come
    /// to agree by itself, and source and twin be equal.
    @Test(arguments: [false, true])
    func `overlapping writers and a failing target leave source and twin equal, round after round`(
        hasFaults: Bool
    ) throws {
        let plan = hasFaults ? FaultPlan(error: .ioError, every: 100) : nil
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: Int(Self.size))
        let guest = try bench.guest("vm.img")
        let options = "copy-mode=write-blocking on-target-error=ignore max-retries=1000"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .ready)
        let seed = UInt64.random(in: 0...UInt64.max)
        // An error that is passed over costs a tenth of a second.
        let rounds = Bench.isSanitized ? 40 : hasFaults ? 250 : 3000
        for round in 0..<rounds {
            writeFromEightThreads(guest, seed &+ UInt64(round) &* 8)
            guard bench.wait("vm.img", until: { $0.targetState == .synced }) else {
                Issue.record("not in sync after round \(round), seed \(seed)")
                return
            }
            guard bench.isEqual("vm.img") else {
                Issue.record("source and twin differ after round \(round), seed \(seed)")
                return
            }
        }
        // The last error may be told after its extents were copied: then nothing is forwarded for a
        // moment.
        #expect(bench.wait("vm.img") { $0.copyMode == .writeBlocking })
        #expect((plan?.wasReached ?? true) && bench.job("vm.img")?.paused == false)
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
    }

    private func writeFromEightThreads(_ guest: Guest, _ seed: UInt64) {
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            var random = SplitMix(seed: seed &+ UInt64(thread))
            for _ in 0..<6 {
                let count = 1 + random.next(below: random.next(below: 4) == 0 ? 200_000 : 6000)
                let offset = random.next(below: Self.size - count)
                let byte = UInt8(random.next(below: 256))
                let bytes = [UInt8](repeating: byte, count: Int(count))
                guard case .done(Int(count)) = guest.write(bytes, at: offset) else {
                    Issue.record("the guest saw an error, seed \(seed)")
                    return
                }
            }
        }
    }

    @Test
    func `what is forwarded needs no copier, and the mode changes both ways while the job runs`()
        throws
    {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        let options = "copy-mode=background speed=1"
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.becomes("vm.img", .ready)
        bench.does("set vm.img \(options)")
        guest.write([1, 2, 3], at: 70_000)
        // One byte a second: in the background it stays dirty.
        guest.write([4, 5, 6], at: 200_000)
        #expect(bench.job("vm.img")?.copyMode == .background)
        #expect(bench.wait("vm.img") { $0.dirtyBytes > 0 })
        bench.does("set vm.img speed=0 copy-mode=write-blocking")
        #expect(bench.wait("vm.img") { $0.targetState == .synced && $0.activelySynced })
        bench.does("set vm.img speed=1")
        for index in 0..<100 { guest.write([9, UInt8(index)], at: UInt64(index) * 9000) }
        #expect(bench.job("vm.img")?.dirtyBytes == 0)
        #expect(bench.isEqual("vm.img"))
        bench.does("set vm.img copy-mode=background speed=0")
        guest.write([7], at: 300_000)
        #expect(bench.wait("vm.img") { $0.targetState == .synced && !$0.activelySynced })
        #expect(bench.isEqual("vm.img"))
    }

    /// The copier gives the twin its size while the next appended write is under way: forwarded,
    /// that write could be cut off the twin between its two halves. Busy threads make the halves
    /// come apart.
    @Test func `a guest that appends loses nothing of its end, round after round`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 8192)
        let guest = try bench.guest("vm.img")
        let options = "copy-mode=write-blocking"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.activelySynced })
        let isOver = Atomic<Bool>(false)
        defer { isOver.store(true, ordering: .relaxed) }
        for _ in 0..<4 {
            Thread { while !isOver.load(ordering: .relaxed) {} }.start()
        }
        var end: UInt64 = 8192
        for round in 0..<Self.appendRounds {
            for step in 0..<40 {
                let count = 1000 + (round * 40 + step) % 7 * 1009
                guest.write([UInt8](repeating: UInt8(1 + step), count: count), at: end)
                end += UInt64(count)
            }
            guard bench.wait("vm.img", until: { $0.targetState == .synced }),
                bench.isEqual("vm.img")
            else {
                Issue.record("source and twin differ after round \(round)")
                return
            }
            if end > 8 << 20 {
                guest.truncate(to: 8192)
                end = 8192
            }
        }
    }

    private static var appendRounds: Int { Bench.isSanitized ? 10 : 60 }

    @Test func `sizes, holes and zeroes change beside forwarded writes`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        let options = "copy-mode=write-blocking"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .ready)
        let seed = UInt64.random(in: 0...UInt64.max)
        for round in 0..<Bench.rounds(60) {
            DispatchQueue.concurrentPerform(iterations: 4) { thread in
                var random = SplitMix(seed: seed &+ UInt64(round * 4 + thread))
                for _ in 0..<10 { change(guest, &random) }
            }
            guard bench.wait("vm.img", until: { $0.targetState == .synced }),
                bench.isEqual("vm.img")
            else {
                Issue.record("source and twin differ after round \(round), seed \(seed)")
                return
            }
        }
    }

    /// The thread of a guest's write is in the twin's write, which hangs: somebody else answers.
    /// What the thread has under way stays out of the copier's hands until it is back (R3).
    @Test(arguments: ["write-timeout=50", ""])
    func `a guest's own thread that hangs with the twin is not waited for`(option: String) throws {
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        let bench = try Bench(faults: faults)
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        let options = "copy-mode=write-blocking \(option)"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        #expect(bench.wait("vm.img") { $0.activelySynced })
        faults.hang(.write)
        let calls = faults.count(of: .write)
        let state = OwnWrite()
        Thread { state.run(guest, at: 40_960) }.start()
        #expect(eventually { state.isInThen.load(ordering: .relaxed) })
        #expect(eventually { faults.count(of: .write) > calls })
        if option.isEmpty {
            #expect(state.isAnswered.load(ordering: .relaxed) == false)
            bench.does("cancel vm.img force=on")
        }
        #expect(eventually { state.isAnswered.load(ordering: .relaxed) })
        #expect(state.isBack.load(ordering: .relaxed) == false)
        #expect(guest.image.gate.gauge.isIdle)
        faults.endHang(.write)
        #expect(eventually { state.isBack.load(ordering: .relaxed) })
        if option.isEmpty {
            bench.becomes("vm.img", .cancelled)
        } else {
            #expect(
                bench.wait("vm.img") {
                    $0.targetState == .synced && $0.copyMode == .background
                })
            #expect(bench.isEqual("vm.img"))
        }
        // All are free again.
        for _ in 0..<8 { #expect(bench.engine.forwardPermits.take()) }
    }

    private func change(_ guest: Guest, _ random: inout SplitMix) {
        let offset = random.next(below: 1 << 20)
        let count = 1 + random.next(below: 50_000)
        switch random.next(below: 10) {
        case 0: guest.truncate(to: offset)
        case 1: guest.allocate([.punchHole, .keepSize], at: offset, count: count)
        case 2: guest.allocate([.zeroRange], at: offset, count: count)
        default:
            let byte = UInt8(random.next(below: 256))
            guest.write([UInt8](repeating: byte, count: Int(count)), at: offset)
        }
    }
}

/// A guest's write as a request's thread does it: it may be answered before the thread is back.
private final class OwnWrite: Sendable {
    let isInThen = Atomic<Bool>(false)
    let isAnswered = Atomic<Bool>(false)
    let isBack = Atomic<Bool>(false)

    func run(_ guest: Guest, at offset: UInt64) {
        let bytes = [UInt8](repeating: 9, count: 8192)
        bytes.withUnsafeBytes { data in
            let outcome = guest.image.write(
                data, at: offset, through: DataPath(buffered: guest.descriptor))
            guard case .forwarded(let forward) = outcome else { return }
            isInThen.store(true, ordering: .relaxed)
            forward.then(data) { _ in self.isAnswered.store(true, ordering: .relaxed) }
        }
        isBack.store(true, ordering: .relaxed)
    }
}
