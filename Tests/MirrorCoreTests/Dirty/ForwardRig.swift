import Dispatch
import Synchronization

@testable import MirrorCore

/// Writers that forward, writers that do not, and a copier with lanes, on the same few granules.
/// Source and twin are rows of numbers, four for each granule, so that several writes may be in
/// one.
///
/// A forwarded write stores its number into both at leisure. Some target writes fail half-way; some
/// hang: the granules are marked, the write ends, and its old number lands in the twin later.
final class ForwardRig: Sendable {
    private static let cellsPerGranule = 4
    private static let cellBytes = 1024
    private static let granules = 12

    let gauge = WriteGauge()
    let table: DirtyTable
    let order = RangeOrder()
    let mailbox = Mailbox()
    let shouldStop = Atomic<Bool>(false)
    /// How often a cell of the twin was under two writes at once (R3).
    let clashes = Atomic<Int>(0)
    let forwards = Atomic<Int>(0)
    private let source = Cells(granules * cellsPerGranule)
    private let twin = Cells(granules * cellsPerGranule)
    /// 1 while a write of the twin's cell is under way.
    private let writing = Cells(granules * cellsPerGranule)
    private let hung = DispatchQueue(label: "hung")
    /// The first cell's offset: half of the granules lie before an edge of shards.
    private let base: UInt64

    init() {
        table = DirtyTable(granularity: .standard, gauge: gauge)
        base = 128 << 20 - UInt64(Self.granules / 2 * 4096)
    }

    private func cells(_ range: ByteRange) -> Range<Int> {
        let size = UInt64(Self.cellBytes)
        return Int((range.lowerBound - base) / size)..<Int((range.upperBound - base) / size)
    }

    // MARK: The shim

    func writeRound(_ writer: Int, _ round: Int, writes: Int, _ group: DispatchGroup) {
        var random = SeededGenerator(seed: UInt64(round * 64 + writer))
        for index in 0..<writes {
            let value = UInt64((round * writes + index) * 64 + writer + 1)
            let first = Int.random(in: 0..<source.count, using: &random)
            let limit = Bool.random(using: &random) ? 2 : 16
            let last = Int.random(in: first + 1...min(first + limit, source.count), using: &random)
            let range = ByteRange(
                at: base + UInt64(first * Self.cellBytes),
                count: UInt64((last - first) * Self.cellBytes))
            if writer % 4 == 3 {
                writeBehind(value, range)
            } else {
                takeTurn(range)
                write(value, range, random.next(), group)
                for turn in order.end(range) { turn() }
            }
        }
    }

    private func takeTurn(_ range: ByteRange) {
        if order.begin(range) { return }
        let bell = DispatchSemaphore(value: 0)
        order.wait(range) { bell.signal() }
        bell.wait()
    }

    /// In the background, and in no order.
    private func writeBehind(_ value: UInt64, _ range: ByteRange) {
        gauge.enter(range)
        for cell in cells(range) { source[cell].store(value, ordering: .relaxed) }
        let mustWake = table.mark(range)
        gauge.leave(range)
        if mustWake { mailbox.post() }
    }

    private func write(_ value: UInt64, _ range: ByteRange, _ fate: UInt64, _ group: DispatchGroup)
    {
        gauge.enter(range)
        var pieces: [ByteRange] = []
        table.beginForward(range, into: &pieces)
        for cell in cells(range) { source[cell].store(value, ordering: .relaxed) }
        var mustWake = false
        var rest = range.lowerBound
        for piece in pieces {
            mustWake = table.mark(ByteRange(rest, piece.lowerBound)) || mustWake
            rest = piece.upperBound
            mustWake =
                forward(value, piece, fate >> (piece.lowerBound >> 12 % 8), group) || mustWake
        }
        mustWake = table.mark(ByteRange(rest, range.upperBound)) || mustWake
        gauge.leave(range)
        if mustWake { mailbox.post() }
    }

    private func forward(
        _ value: UInt64, _ piece: ByteRange, _ fate: UInt64, _ group: DispatchGroup
    ) -> Bool {
        forwards.add(1, ordering: .relaxed)
        switch fate % 8 {
        case 0:
            writeTwin(cells(piece).dropLast()) { _ in value }
            return table.failForward(piece)
        case 1:
            hung.async(group: group) { [self] in
                yieldThread()
                writeTwin(cells(piece)) { _ in value }
                if table.endForward(piece) { mailbox.post() }
            }
            return table.mark(piece)
        default:
            writeTwin(cells(piece)) { _ in value }
            return table.endForward(piece)
        }
    }

    private func writeTwin(_ cells: Range<Int>, _ value: (Int) -> UInt64) {
        for cell in cells where writing[cell].exchange(1, ordering: .relaxed) != 0 {
            clashes.add(1, ordering: .relaxed)
        }
        for cell in cells {
            if cell % 3 == 0 { yieldThread() }
            twin[cell].store(value(cell), ordering: .relaxed)
        }
        for cell in cells { writing[cell].store(0, ordering: .relaxed) }
    }

    // MARK: The copier

    /// Runs until `shouldStop`; sleeps whenever a look after `fallAsleep` finds nothing to take.
    func runCopier(_ lanes: [DispatchQueue]) {
        var number = 0
        while !shouldStop.load(ordering: .relaxed) {
            number += 1
            if copyOne(lanes[number % lanes.count], number) { continue }
            table.fallAsleep(isForQuiet: number % 2 == 0)
            guard !table.canTake else { continue }
            mailbox.wait()
        }
    }

    private func copyOne(_ lane: DispatchQueue, _ number: Int) -> Bool {
        guard let extent = table.takeExtent(from: 0, limit: 1 + number % 5) else { return false }
        mailbox.laneStarts()
        lane.async { [self] in
            let cells = cells(table.granularity.bytes(of: extent))
            let values = cells.map { self.source[$0].load(ordering: .relaxed) }
            let isFailure = number % 7 == 0
            writeTwin(isFailure ? cells.dropLast(2) : cells) { values[$0 - cells.lowerBound] }
            if isFailure { table.giveBack(extent) } else { table.release(extent) }
            mailbox.laneEnds()
        }
        return true
    }

    // MARK: The judge

    var firstDifference: Int? {
        (0..<source.count).first {
            source[$0].load(ordering: .relaxed) != twin[$0].load(ordering: .relaxed)
        }
    }
}
