import Dispatch
import Synchronization
import Testing

@testable import MirrorCore

extension StressTests {
    /// Two races too narrow for the whole-table stress, each made to happen all the time.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct DirtyPageStressTests {
        /// Markers and one taker on three words that do not touch. While they race the taker also
        /// looks at word 2 itself and takes bits that have no summary yet; the marker's summary
        /// then stands over an empty word, and is forgotten while somebody marks again. Each round
        /// ends with a look through the summary alone: it must find every bit.
        @Test func `no bit is left under a clear summary`() throws {
            let page = DirtyPage(granules: 640, isFull: false)
            let turn = Atomic<Int>(0)
            let finished = Atomic<Int>(0)
            let group = DispatchGroup()
            let rounds = 8000
            for marker in 0..<2 {
                DispatchQueue(label: "marker \(marker)").async(group: group) {
                    for round in 1...rounds {
                        while turn.load(ordering: .acquiring) < round { yieldThread() }
                        for index in 0..<8 {
                            let granule = 128 * (1 + index % 3) + marker
                            _ = page.set(granule..<granule + 1)
                        }
                        finished.add(1, ordering: .releasing)
                    }
                }
            }
            defer {
                turn.store(.max, ordering: .releasing)
                group.wait()
            }
            func takeAll(from start: Int) {
                while let first = page.firstDirty(from: start) { _ = page.clear(first..<first + 1) }
            }
            for round in 1...rounds {
                turn.store(round, ordering: .releasing)
                while finished.load(ordering: .acquiring) < 2 * round {
                    takeAll(from: 128)
                    takeAll(from: 64)
                }
                takeAll(from: 64)
                try #require(page.hasNoBits, "round \(round)")
            }
        }

        /// A lane gives an extent back while the job's queue takes the shard's last one and gives
        /// the page back.
        @Test func `an extent given back survives the page that is reclaimed beside it`() throws {
            let table = DirtyTable(granularity: .standard, gauge: WriteGauge())
            let turn = Atomic<Int>(0)
            let done = Atomic<Int>(0)
            let group = DispatchGroup()
            let rounds = 4000
            DispatchQueue(label: "lane").async(group: group) {
                for round in 1...rounds {
                    while turn.load(ordering: .acquiring) < round { yieldThread() }
                    if turn.load(ordering: .acquiring) > rounds { return }
                    for _ in 0..<round % 100 { _ = turn.load(ordering: .relaxed) }
                    table.giveBack(0..<1)
                    done.store(round, ordering: .releasing)
                }
            }
            defer {
                turn.store(.max, ordering: .releasing)
                group.wait()
            }
            for round in 1...rounds {
                table.markUncounted(ByteRange(0, 1))
                table.markUncounted(ByteRange(at: 4096 * 100, count: 1))
                try #require(table.takeExtent(from: 0, limit: 1) == 0..<1)
                turn.store(round, ordering: .releasing)
                let last = try #require(table.takeExtent(from: 100, limit: 1, givesPagesBack: true))
                while done.load(ordering: .acquiring) < round { yieldThread() }
                table.release(last)
                let again = table.takeExtent(from: 0, limit: 1, givesPagesBack: true)
                try #require(again == 0..<1, "round \(round): what was given back is lost")
                table.release(0..<1)
            }
            #expect(table.isInSync)
        }
    }
}
