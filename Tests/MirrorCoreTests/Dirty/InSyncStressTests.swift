import Dispatch
import Synchronization
import Testing

@testable import MirrorCore

extension StressTests {
    /// R5 without a hold: one writer counts upwards through eight granules, so that every past
    /// state of the source is known by its greatest number. Whenever the table says *in sync*, the
    /// twin must be one of these states, and not older than the question.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct InSyncStressTests {
        @Test(arguments: [1, 64 << 20])
        func `in sync is said only when there was such an instant`(_ spacing: UInt64) throws {
            let rig = CountingRig(spacing: spacing)
            let (writer, end) = (DispatchQueue(label: "writer"), DispatchGroup())
            writer.async(group: end) { rig.write(for: .milliseconds(1200)) }
            DispatchQueue(label: "status").async(group: end) { rig.lookOn() }
            defer {
                rig.shouldStop.store(true, ordering: .relaxed)
                end.wait()
                #expect(
                    rig.untruths.load(ordering: .relaxed) == 0, "another thread was told too early")
            }
            let lane = DispatchQueue(label: "lane")
            let deadline = ContinuousClock.now + .seconds(40)
            while rig.syncedTo < rig.last.load(ordering: .acquiring) {
                try #require(ContinuousClock.now < deadline, "never in sync after the last write")
                let before = rig.written.load(ordering: .sequentiallyConsistent)
                if rig.table.isInSync {
                    try #require(rig.syncedTo >= before, "the source was ahead of the twin")
                    try #require(rig.isPastState, "the source was never like this twin")
                } else {
                    rig.copyOne(lane)
                }
            }
        }
    }
}

private final class CountingRig: Sendable {
    static let cells: UInt64 = 8
    let gauge = WriteGauge()
    let table: DirtyTable
    let written = Atomic<UInt64>(0)
    /// The last write's number, once it is known.
    let last = Atomic<UInt64>(.max)
    let shouldStop = Atomic<Bool>(false)
    let untruths = Atomic<Int>(0)
    private let copies = Atomic<Int>(0)
    private let source = Cells(Int(cells))
    private let twin = Cells(Int(cells))
    private let spacing: UInt64

    /// - Parameter spacing: granules from one cell to the next.
    init(spacing: UInt64) {
        self.spacing = spacing
        table = DirtyTable(granularity: Granularity(bytes: 512)!, gauge: gauge)
    }

    private func cell(of value: UInt64) -> Int { Int(value &* 5 % Self.cells) }

    func write(for time: Duration) {
        let end = ContinuousClock.now + time
        for value: UInt64 in 1... {
            let range = ByteRange(at: UInt64(cell(of: value)) * spacing * 512, count: 512)
            gauge.enter(range)
            source[cell(of: value)].store(value, ordering: .relaxed)
            written.store(value, ordering: .sequentiallyConsistent)
            if value % 3 == 0 { yieldThread() }
            _ = table.mark(range)
            gauge.leave(range)
            if value % 8 < 2 { yieldThread() }
            if value % 32 == 0, ContinuousClock.now > end {
                return last.store(value, ordering: .releasing)
            }
        }
    }

    /// Asks from outside, as the status does.
    func lookOn() {
        while !shouldStop.load(ordering: .relaxed) {
            let before = written.load(ordering: .sequentiallyConsistent)
            yieldThread()
            if table.isInSync, syncedTo < before { untruths.add(1, ordering: .relaxed) }
        }
    }

    func copyOne(_ lane: DispatchQueue) {
        guard let extent = table.takeExtent(from: 0, limit: 3, givesPagesBack: true) else { return }
        lane.async { [self] in
            let copies = copies.add(1, ordering: .relaxed).newValue
            let isFailure = copies % 3 == 0
            for granule in extent where !isFailure {
                let cell = granule / Int(spacing)
                twin[cell].store(source[cell].load(ordering: .relaxed), ordering: .relaxed)
            }
            if isFailure { table.giveBack(extent) } else { table.release(extent) }
        }
    }

    /// The greatest number in the twin.
    var syncedTo: UInt64 {
        (0..<Int(Self.cells)).reduce(0) { max($0, twin[$1].load(ordering: .relaxed)) }
    }

    /// Whether every cell has the last number written to it at or before `syncedTo`.
    var isPastState: Bool {
        let last = syncedTo
        return (0..<Self.cells).allSatisfy { back in
            back >= last || twin[cell(of: last - back)].load(ordering: .relaxed) == last - back
        }
    }
}
