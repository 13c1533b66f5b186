import Testing

@testable import MirrorCore

@Suite struct WatchTests {
    private let table = DirtyTable(granularity: .standard, gauge: WriteGauge())
    private let watched = ByteRange(8 * 4096, 16 * 4096)

    /// What is said of the watch after `change`, which begins once it does.
    private func state(after change: () -> Void) -> DirtyTable.WatchState {
        #expect(table.beginWatch(watched) == .still)
        defer { table.endWatch(watched) }
        change()
        return table.watched(watched)
    }

    private func forward(_ range: ByteRange) {
        var pieces: [ByteRange] = []
        table.beginForward(range, into: &pieces)
        for piece in pieces { _ = table.endForward(piece) }
    }

    private func copy(_ range: ByteRange) {
        table.markUncounted(range)
        while let extent = table.takeExtent(from: 0, limit: .max) { table.release(extent) }
    }

    @Test func `granules that nobody touches are still`() {
        #expect(state(after: {}) == .still)
    }

    @Test func `a watch sees nothing of what happens beside it, or in another shard of its stripe`()
    {
        let far = UInt64(64 * 128) << 20
        for start in [0, 7 * 4096, 16 * 4096, far + 8 * 4096] as [UInt64] {
            let range = ByteRange(at: start, count: 4096)
            #expect(state(after: { copy(range) }) == .still)
            #expect(state(after: { forward(range) }) == .still)
        }
    }

    @Test(arguments: [7, 8, 12, 15])
    func `granules have moved once a copy or a forward of them is over`(granule: Int) {
        let range = ByteRange(at: UInt64(granule) * 4096 + 1, count: 4096)
        #expect(state(after: { copy(range) }) == .moving)
        #expect(state(after: { forward(range) }) == .moving)
        // The next watch knows nothing of it.
        #expect(state(after: {}) == .still)
    }

    @Test func `dirty and claimed granules are dirty, forwarded ones moving`() throws {
        let byte = ByteRange(15 * 4096, 15 * 4096 + 1)
        #expect(state(after: { table.markUncounted(byte) }) == .dirty)
        let extent = try #require(table.takeExtent(from: 0, limit: 1))
        #expect(table.beginWatch(watched) == .dirty)
        table.release(extent)
        // Claimed when the watch began, and copied since: nothing was taken meanwhile, so whoever
        // was told `dirty` must not go on.
        #expect(table.watched(watched) == .still)
        table.endWatch(watched)

        var pieces: [ByteRange] = []
        table.beginForward(byte, into: &pieces)
        #expect(table.beginWatch(watched) == .moving)
        table.endWatch(watched)
        _ = table.endForward(byte)
        #expect(state(after: {}) == .still)
    }

    @Test func `an all-dirty shard is dirty`() {
        table.markUncounted(ByteRange(0, 128 << 20))
        #expect(table.beginWatch(watched) == .dirty)
        table.endWatch(watched)
    }
}
