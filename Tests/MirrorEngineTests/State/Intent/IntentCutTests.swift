import Dispatch
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

/// Power cuts at any instant, played inside the process: source and twin are known as they are and
/// as they were when they were synced last, and of the log's disk each block may be old or new.
/// Wherever the bit is clear on such a disk, all four must be equal.
@Suite struct IntentCutTests {
    @Test(arguments: [UInt64(1), 2, 3])
    func `after a power cut every extent that differs is intended`(seed: UInt64) throws {
        let world = try CutWorld(seed: seed)
        world.start()
        var (worst, cuts) = (0, 0)
        // Else nothing was tried.
        let isTried = { world.cleared > Bench.rounds(200) && world.store.syncs > Bench.rounds(200) }
        while cuts < Bench.rounds(2000) || !isTried() && cuts < 60_000 {
            PlainThread.sleep(.microseconds(1500))
            worst = max(worst, world.lostAfterCut())
            cuts += 1
        }
        world.stop()
        #expect(worst == 0, "seed \(seed)")
        #expect(isTried())
    }

    @Test func `a log that lets everything pass loses differences`() throws {
        let world = try CutWorld(seed: 4)
        world.log.bits.admitsAll.store(true, ordering: .sequentiallyConsistent)
        #expect(world.losesSomething())
    }

    @Test func `clearing a log without making the source durable loses differences`() throws {
        #expect(try CutWorld(seed: 5, syncsSource: false).losesSomething())
    }

    @Test func `clearing a log without making the twin durable loses differences`() throws {
        #expect(try CutWorld(seed: 6, syncsTwin: false).losesSomething())
    }
}

/// An image with writers, a copier, and somebody who clears; every one of them by the real code,
/// but for the copy itself and the syncs.
private final class CutWorld: @unchecked Sendable {
    static let extents = 8
    private static let cell = 4096
    private static var size: UInt64 { UInt64(extents) * IntentLog.extent }

    let bench: Bench
    let log: IntentLog
    let store: CuttableStore
    private let guest: Guest
    private let table: DirtyTable
    private let seed: UInt64
    private let (syncsSource, syncsTwin): (Bool, Bool)

    /// Shared by every step, exclusive for a cut: the instant between two steps.
    private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)
    private let syncing = Mutex<Void>(())
    private let state: Mutex<Files>
    private let flag = Atomic<Bool>(false)
    private let clears = Atomic<Int>(0)
    private let threads = DispatchGroup()

    private struct Files {
        var durableSource: [UInt8]
        var twin: [UInt8]
        var durableTwin: [UInt8]
    }

    init(seed: UInt64, syncsSource: Bool = true, syncsTwin: Bool = true) throws {
        (self.seed, self.syncsSource, self.syncsTwin) = (seed, syncsSource, syncsTwin)
        pthread_rwlock_init(lock, nil)
        bench = try Bench()
        try bench.makeFile("a.img", bytes: 0)
        guest = try bench.guest("a.img")
        try guest.descriptor.setSize(Self.size)
        let zeroes = [UInt8](repeating: 0, count: Self.extents * 2 * Self.cell)
        state = Mutex(Files(durableSource: zeroes, twin: zeroes, durableTwin: zeroes))
        (log, store) = IntentLog.onDisk(isFull: true) { PlainThread.sleep(.microseconds(300)) }
        table = DirtyTable(granularity: .standard, gauge: guest.image.gate.gauge)
        guest.image.end.reached(Self.size)
        guest.image.trackers.add(Tracker(table: table, intents: log.gate) {})
    }

    deinit {
        pthread_rwlock_destroy(lock)
        lock.deallocate()
    }

    var cleared: Int { clears.load(ordering: .relaxed) }

    func start() {
        for number in 0..<3 { run { self.write(SplitMix(seed: self.seed * 10 + UInt64(number))) } }
        run { self.copy() }
        run { self.clear(SplitMix(seed: self.seed * 10 + 7)) }
        run { self.flushAsGuest() }
    }

    func stop() {
        flag.store(true, ordering: .sequentiallyConsistent)
        threads.wait()
        guest.image.trackers.remove(table)
    }

    /// Whether a difference is lost in one of many cuts.
    func losesSomething() -> Bool {
        start()
        defer { stop() }
        for _ in 0..<20_000 {
            PlainThread.sleep(.microseconds(500))
            if lostAfterCut() > 0 { return true }
        }
        return false
    }

    private func run(_ body: @escaping @Sendable () -> Void) {
        threads.enter()
        Thread.detachNewThread { [self] in
            body()
            threads.leave()
        }
    }

    private var isOver: Bool { flag.load(ordering: .sequentiallyConsistent) }

    private func step<T>(_ body: () -> T) -> T {
        pthread_rwlock_rdlock(lock)
        defer { pthread_rwlock_unlock(lock) }
        return body()
    }

    /// Unoptimized, a comparison byte by byte takes most of the time between two cuts.
    private static func isEqual(_ some: ArraySlice<UInt8>, _ others: ArraySlice<UInt8>) -> Bool {
        some.withUnsafeBytes { some in
            others.withUnsafeBytes { memcmp(some.baseAddress!, $0.baseAddress!, some.count) == 0 }
        }
    }

    // Cells: the first and the last 4 KiB of each extent. Nothing else is written.

    private static func offset(_ cell: Int) -> UInt64 {
        let start = UInt64(cell / 2) * IntentLog.extent
        return cell % 2 == 0 ? start : start + IntentLog.extent - UInt64(Self.cell)
    }

    private static func cells(of range: ByteRange) -> [Int] {
        (0..<extents * 2).filter { cell in
            let start = offset(cell)
            return start < range.upperBound && start + UInt64(Self.cell) > range.lowerBound
        }
    }

    private func readSource() -> [UInt8] {
        (0..<Self.extents * 2).flatMap {
            guest.descriptor.bytes(at: Self.offset($0), count: Self.cell)
        }
    }

    private func write(_ random: SplitMix) {
        var random = random
        while !isOver {
            // Mostly the same few places, so that others come to rest.
            let few = random.next(below: 4) > 0 ? 3 : UInt64(Self.extents)
            let extent = random.next(below: few)
            let byte = UInt8(random.next(below: 256))
            let crosses = random.next(below: 4) == 0 && extent + 1 < Self.extents
            let cell = crosses ? extent * 2 + 1 : extent * 2 + random.next(below: 2)
            let bytes = [UInt8](repeating: byte, count: crosses ? 2 * Self.cell : Self.cell)
            change(bytes, at: Self.offset(Int(cell)), punches: random.next(below: 8) == 0)
            PlainThread.sleep(.microseconds(Int(random.next(below: 3000))))
        }
    }

    /// One try is one step; waiting for an intent is none.
    private func change(_ bytes: [UInt8], at offset: UInt64, punches: Bool) {
        while true {
            let outcome = step {
                if punches {
                    return guest.image.allocate(
                        [.punchHole, .keepSize], at: offset, count: UInt64(bytes.count),
                        through: guest.descriptor)
                }
                return bytes.withUnsafeBytes {
                    guest.image.write(
                        $0, at: offset, through: DataPath(buffered: guest.descriptor))
                }
            }
            guard case .held = outcome else { return }
            let lifted = DispatchSemaphore(value: 0)
            guest.image.whenLifted { lifted.signal() }
            lifted.wait()
        }
    }

    private func copy() {
        var cursor = 0
        while !isOver {
            guard let extent = step({ table.takeExtent(from: cursor, limit: 2) }) else {
                cursor = 0
                PlainThread.sleep(.microseconds(100))
                continue
            }
            cursor = extent.upperBound
            let cells = Self.cells(of: Granularity.standard.bytes(of: extent))
            let data = step {
                cells.map { guest.descriptor.bytes(at: Self.offset($0), count: Self.cell) }
            }
            step {
                state.withLock { state in
                    for (cell, bytes) in zip(cells, data) {
                        let start = cell * Self.cell
                        state.twin.replaceSubrange(start..<start + Self.cell, with: bytes)
                    }
                }
            }
            step { table.release(extent) }
        }
    }

    private func clear(_ random: SplitMix) {
        var random = random
        while !isOver {
            if random.next(below: 2) == 0 { log.age() }
            let flushes = guest.image.flushCount.now
            let candidates = log.candidates(table, guest.image.gate.gauge)
            if candidates.isEmpty {
                PlainThread.sleep(.microseconds(200))
                continue
            }
            if syncsTwin { syncTwin() }
            if syncsSource, !guest.image.flushCount.isDone(after: flushes) { syncSource() }
            let before = log.setCount.load(ordering: .relaxed)
            let done = DispatchSemaphore(value: 0)
            log.clear(candidates, table, guest.image.gate.gauge) { done.signal() }
            done.wait()
            let less = before - log.setCount.load(ordering: .relaxed)
            clears.add(max(0, less), ordering: .relaxed)
        }
    }

    private func flushAsGuest() {
        while !isOver {
            let number = guest.image.flushCount.begin()
            if syncsSource { syncSource() }
            guest.image.flushCount.succeeded(number)
            PlainThread.sleep(.milliseconds(7))
        }
    }

    /// What it covers was written before it began; it takes a while.
    private func syncSource() {
        syncing.withLock { _ in
            let snapshot = step { readSource() }
            PlainThread.sleep(.microseconds(200))
            step { state.withLock { $0.durableSource = snapshot } }
        }
    }

    private func syncTwin() {
        let snapshot = step { state.withLock { $0.twin } }
        PlainThread.sleep(.microseconds(200))
        step { state.withLock { $0.durableTwin = snapshot } }
    }

    /// Extents that may differ after a power cut now, and are not intended.
    func lostAfterCut() -> Int {
        pthread_rwlock_wrlock(lock)
        let (disk, source, files) = (store.cut(), readSource(), state.withLock { $0 })
        pthread_rwlock_unlock(lock)
        guard let left = IntentLog.read(disk) else { return .max }
        return (0..<Self.extents).count { extent in
            let bytes = ByteRange(at: UInt64(extent) * IntentLog.extent, count: IntentLog.extent)
            if left.durable(bytes) { return false }
            let cells = extent * 2 * Self.cell..<(extent + 1) * 2 * Self.cell
            let all = [files.durableSource, files.twin, files.durableTwin].map { $0[cells] }
            return !all.allSatisfy { Self.isEqual($0, source[cells]) }
        }
    }
}
