import Dispatch
import Synchronization

@testable import MirrorCore

/// Writers that do what the shim does, and a copier with lanes, on one table; the source and the
/// twin are two rows of numbers, one for each granule.
///
/// Every write stores a number that was never stored before, with a plain store: what orders it
/// before the copier's read is the mark alone. How a lost update shows: a granule whose mark was
/// lost, or was cleared after the copier had read it, keeps an older number in the twin when the
/// table is drained and nobody writes any more; `firstDifference` finds it. Rounds are short, so
/// that no later write of the granule hides it. A lost wake shows as a copier asleep on a table
/// that is not in sync.
final class StressRig: Sendable {
    struct Scenario: Sendable {
        let granularity: Int
        var writers = 3
        /// Whether clean shards give their pages back: by turns, where nil.
        var givesPagesBack: Bool?
        /// Whether each round starts with all-dirty shards.
        var startsFull = false
        /// Granules on each side of an edge that are written; few make writers meet in one word.
        var width = 32
        var rounds = 60
        var writes = 200
    }

    let scenario: Scenario
    let gauge = WriteGauge()
    let table: DirtyTable
    /// Source and twin: `places` says which granule each number stands for.
    let source: Cells
    let twin: Cells
    /// 1 while a copy of the granule is under way (R3).
    let copying: Cells
    let clashes = Atomic<Int>(0)
    let mailbox = Mailbox()
    let shouldStop = Atomic<Bool>(false)
    private let blocks: [Range<Int>]

    init(_ scenario: Scenario) {
        self.scenario = scenario
        table = DirtyTable(granularity: Granularity(bytes: scenario.granularity)!, gauge: gauge)
        let shard = table.granulesPerShard
        let width = min(shard, scenario.width)
        // Across an edge of shards; the same lock's and the same gauge's stripe 64 shards on;
        // across regions.
        blocks = [1, 65, 4096].map { $0 * shard - width..<$0 * shard + width }
        let count = blocks.reduce(0) { $0 + $1.count }
        (source, twin, copying) = (Cells(count), Cells(count), Cells(count))
    }

    /// The cell of a granule; nil where only all-dirty shards reach.
    private func cell(of granule: Int) -> Int? {
        var before = 0
        for block in blocks {
            if block.contains(granule) { return before + granule - block.lowerBound }
            before += block.count
        }
        return nil
    }

    // MARK: The shim

    func writeRound(_ writer: Int, _ round: Int) {
        var random = SeededGenerator(seed: UInt64(round * 64 + writer))
        for index in 1...scenario.writes {
            let value = UInt64((round * scenario.writes + index) * 64 + writer)
            let block = blocks[Int.random(in: 0..<blocks.count, using: &random)]
            let first = Int.random(in: block, using: &random)
            let count = Bool.random(using: &random) ? 1 : Int.random(in: 1...64, using: &random)
            write(value, first..<min(first + count, block.upperBound))
        }
    }

    private func write(_ value: UInt64, _ granules: Range<Int>) {
        let range = table.granularity.bytes(of: granules)
        gauge.enter(range)
        for granule in granules { source[cell(of: granule)!].store(value, ordering: .relaxed) }
        let mustWake = table.mark(range)
        gauge.leave(range)
        if mustWake { mailbox.post() }
    }

    // MARK: The copier

    /// Runs until `shouldStop`; sleeps whenever a look after `fallAsleep` finds nothing to take.
    func runCopier(_ lanes: [DispatchQueue]) {
        var random = SeededGenerator(seed: 0xc0)
        var laneNumber = 0
        while !shouldStop.load(ordering: .relaxed) {
            if copyOne(lanes[laneNumber % lanes.count], &random) {
                laneNumber += 1
                continue
            }
            // Marks that come here have nobody to wake: the second look must find them.
            if Bool.random(using: &random) { yieldThread() }
            table.fallAsleep()
            if !copyOne(lanes[0], &random) { mailbox.wait() }
        }
    }

    /// Takes an extent and copies it: here and now, which leaves the least time between clear and
    /// read, or on a lane.
    private func copyOne(_ lane: DispatchQueue, _ random: inout SeededGenerator) -> Bool {
        let limit = Int.random(in: 1...100, using: &random)
        let givesPagesBack = scenario.givesPagesBack ?? Bool.random(using: &random)
        guard
            let extent = table.takeExtent(from: 0, limit: limit, givesPagesBack: givesPagesBack)
        else { return false }
        let fate = random.next()
        if fate % 2 == 0 {
            copy(extent, fate)
        } else {
            mailbox.laneStarts()
            lane.async { [self] in
                copy(extent, fate)
                mailbox.laneEnds()
            }
        }
        return true
    }

    private func copy(_ extent: Range<Int>, _ fate: UInt64) {
        let cells = extent.compactMap { self.cell(of: $0) }
        let values = cells.map { self.source[$0].load(ordering: .relaxed) }
        for cell in cells where copying[cell].exchange(1, ordering: .relaxed) != 0 {
            clashes.add(1, ordering: .relaxed)
        }
        if fate >> 8 % 8 == 0 { yieldThread() }
        let isFailure = fate >> 16 % 8 == 0
        for (cell, value) in zip(cells, values) where !isFailure || cell % 2 == 0 {
            twin[cell].store(value, ordering: .relaxed)
        }
        for cell in cells { copying[cell].store(0, ordering: .relaxed) }
        if isFailure { table.giveBack(extent) } else { table.release(extent) }
    }

    // MARK: The judge

    /// All dirty, one on each side of every edge; nil for the others.
    func fillShards() {
        let shard = UInt64(128 << 20)
        for edge: UInt64 in [1, 65, 4096] {
            table.markUncounted(ByteRange((edge - 1) * shard, (edge + 1) * shard))
        }
        mailbox.post()
    }

    var firstDifference: Int? {
        (0..<source.count).first {
            source[$0].load(ordering: .relaxed) != twin[$0].load(ordering: .relaxed)
        }
    }
}

/// The copier's bell: many rings, one look.
final class Mailbox: Sendable {
    private struct State {
        var hasMail = false
        var isWaiting = false
        var lanes = 0
    }

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)

    func post() { change { $0.hasMail = true } }
    func laneStarts() { change { $0.lanes += 1 } }

    func laneEnds() {
        change {
            $0.lanes -= 1
            $0.hasMail = true
        }
    }

    /// Whether nobody is left who could make the copier look again.
    var isQuiet: Bool { state.withLock { $0.isWaiting && !$0.hasMail && $0.lanes == 0 } }

    func wait() {
        let mustWait = state.withLock { state in
            state.isWaiting = !state.hasMail
            state.hasMail = false
            return state.isWaiting
        }
        if mustWait { bell.wait() }
    }

    private func change(_ body: (inout State) -> Void) {
        let mustRing = state.withLock { state in
            body(&state)
            guard state.isWaiting, state.hasMail else { return false }
            state.isWaiting = false
            state.hasMail = false
            return true
        }
        if mustRing { bell.signal() }
    }
}

/// A row of atomics. Unchecked, because the compiler cannot see that a pointer to atomics is all it
/// is.
final class Cells: @unchecked Sendable {
    let count: Int
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    init(_ count: Int) {
        self.count = count
        cells = .allocate(capacity: count)
        for index in 0..<count { (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize(count: count)
        cells.deallocate()
    }

    subscript(_ index: Int) -> Atomic<UInt64> {
        @inline(__always) unsafeAddress { UnsafePointer(cells + index) }
    }
}
