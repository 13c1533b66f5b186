import Testing

@testable import MirrorCore

@Suite struct DirtyTableModelTests {
    @Test func `every small range is marked and taken whole`() throws {
        var pair = Pair(.standard)
        for lower in 0..<70 {
            for upper in lower...70 {
                try pair.markGranules(lower..<upper)
                if let extent = try pair.take() { try pair.release(extent) }
            }
        }
    }

    @Test func `a range is marked by every granule that it touches, partial ones too`() throws {
        for lower: UInt64 in [0, 1, 511, 512, 4095, 4096, 4097, 8191] {
            for upper: UInt64 in [0, 1, 512, 513, 4095, 4096, 4097, 8192, 8193, 262_145]
            where upper >= lower {
                for granularity in [512, 4096].map({ Granularity(bytes: $0)! }) {
                    var pair = Pair(granularity)
                    try pair.mark(ByteRange(lower, upper))
                }
            }
        }
    }

    @Test(arguments: testedGranularities)
    func `ranges at word, shard and region edges are exact`(_ granularity: Granularity) throws {
        var pair = Pair(granularity)
        let shard = pair.table.granulesPerShard
        let region = shard * DirtyRegion.shards
        let edges = [0, 1, 63, 64, 65, 4095, 4096, 4097, shard, 64 * shard, region, 3 * region]
        for edge in edges {
            for (before, after) in [(0, 1), (1, 0), (1, 1), (2, 64), (64, 65), (0, 130)] {
                try pair.markGranules(max(0, edge - before)..<edge + after)
            }
            while let extent = try pair.take() { try pair.release(extent) }
        }
    }

    @Test func `nothing is tracked past the limit, and nothing traps there`() throws {
        let pair = Pair(Granularity(bytes: 64 << 20)!)
        pair.table.markUncounted(ByteRange(DirtyTable.limit - 1, .max))
        pair.table.markUncounted(ByteRange(DirtyTable.limit, .max))
        #expect(pair.table.dirtyBytes == 64 << 20)
        let last = Int(DirtyTable.limit >> 26) - 1
        #expect(pair.table.takeExtent(from: 0, limit: 9, givesPagesBack: true) == last..<last + 1)
        #expect(pair.table.takeExtent(from: last + 1, limit: 9) == nil)
    }

    /// The seed of a failed run is in the test's argument; put it into the list to see it again.
    @Test(arguments: testedGranularities, [1, 2, 3, .random(in: 4 ... .max)] as [UInt64])
    func `any sequence of operations leaves the table as its shadow`(
        _ granularity: Granularity, _ seed: UInt64
    ) throws {
        var script = ModelScript(granularity, seed)
        for _ in 0..<150 { try script.step() }
        try script.drain()
    }

    @Test func `a claimed granule that is marked again waits until it is released`() throws {
        var pair = Pair(.standard)
        try pair.markGranules(10..<20)
        let claim = try #require(try pair.take(limit: 5))
        try pair.markGranules(8..<30)
        let before = try pair.take()
        let after = try pair.take()
        #expect((before, after) == (8..<10, 15..<30))
        #expect(try pair.take() == nil)
        try pair.release(claim)
        #expect(try pair.take() == 10..<15)
    }

    @Test func `an extent that is given back can be taken again`() throws {
        var pair = Pair(.standard)
        try pair.markGranules(100..<200)
        try pair.giveBack(try #require(try pair.take(limit: 64)))
        #expect(try pair.take() == 100..<200)
    }
}
