import Dispatch
import Synchronization
import Testing

@testable import MirrorCore

extension StressTests {
    /// Two races too narrow for the whole-table stress, each made to happen all the time.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct DirtyPageStressTests {
        /// Markers and one taker on three words that do not touch, found through the summary alone. A bit that
        /// lost its summary is never found again: later marks of its word see that it was not the first.
        @Test func `no bit is left under a clear summary`() {
            let page = DirtyPage(granules: 640, isFull: false)
            let marked = Atomic<Int>(0)
            let running = Atomic<Int>(2)
            let group = DispatchGroup()
            for marker in 0..<2 {
                DispatchQueue(label: "marker \(marker)").async(group: group) {
                    for index in 0..<60_000 {
                        let granule = 128 * (1 + index % 3) + marker
                        marked.add(page.set(granule..<granule + 1).added, ordering: .relaxed)
                    }
                    running.subtract(1, ordering: .releasing)
                }
            }
            var taken = 0
            // From word 2, which is looked at itself, bits that have no summary yet are taken: the marker's
            // summary then stands over an empty word. From word 1 such words are forgotten.
            func takeAll() {
                for start in [128, 64] {
                    while let first = page.firstDirty(from: start) {
                        taken += page.clear(first..<first + 1)
                    }
                }
            }
            while running.load(ordering: .acquiring) > 0 { takeAll() }
            group.wait()
            takeAll()
            #expect(taken == marked.load(ordering: .relaxed))
            #expect(page.isEmpty && page.hasNoBits)
        }

        /// A lane gives an extent back while the job's queue takes the shard's last one and gives the page back.
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
