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
        var script = Script(granularity, seed)
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

/// A random sequence of operations near edges where something can go wrong.
private struct Script {
    private var pair: Pair
    private var random: SeededGenerator
    private var claims: [Range<Int>] = []
    private let anchors: [Int]

    init(_ granularity: Granularity, _ seed: UInt64) {
        pair = Pair(granularity)
        random = SeededGenerator(seed: seed)
        let shard = pair.table.granulesPerShard
        let region = shard * DirtyRegion.shards
        anchors = [
            0, 64, shard - 3, shard, shard + 60, 64 * shard, region - 2, region, region + 4096,
        ]
    }

    mutating func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30: try pair.mark(randomBytes(), counted: true)
        case 30..<40: try pair.mark(randomBytes(), counted: false)
        case 40..<70: try take()
        case 70..<80: try endClaim { pair, claim in try pair.release(claim) }
        case 80..<90: try endClaim { pair, claim in try pair.giveBack(claim) }
        case 90..<93: try pair.markLength()
        case 93..<96: try pair.takeLength()
        case 96..<98: try markShard()
        default: if claims.isEmpty { try pair.forgetAll(from: randomGranule()) }
        }
    }

    mutating func drain() throws {
        while !claims.isEmpty { try endClaim { pair, claim in try pair.release(claim) } }
        try pair.takeLength()
        while let extent = try pair.take(givesPagesBack: true) { try pair.release(extent) }
        #expect(pair.table.isInSync)
    }

    private mutating func take() throws {
        let start = Bool.random(using: &random) ? 0 : randomGranule()
        let limit = [1, 2, 63, 64, 65, .max].randomElement(using: &random)!
        let givesPagesBack = Bool.random(using: &random)
        let extent = try pair.take(from: start, limit: limit, givesPagesBack: givesPagesBack)
        if let extent { claims.append(extent) }
    }

    private mutating func endClaim(_ body: (inout Pair, Range<Int>) throws -> Void) throws {
        guard let index = claims.indices.randomElement(using: &random) else { return }
        try body(&pair, claims.remove(at: index))
    }

    /// A whole shard where that is few granules, else nothing: the shadow keeps each apart.
    private mutating func markShard() throws {
        let count = pair.table.granulesPerShard
        guard count <= 128 else { return }
        let shard = [0, 1, 63, 64, 4095, 4096].randomElement(using: &random)!
        try pair.markGranules(shard * count..<(shard + 1) * count)
    }

    private mutating func randomGranule() -> Int {
        max(0, anchors.randomElement(using: &random)! + Int.random(in: -3...70, using: &random))
    }

    /// Mostly whole granules, sometimes a byte more or less.
    private mutating func randomBytes() -> ByteRange {
        let start = randomGranule()
        let count = [0, 1, 2, 63, 64, 65, 130].randomElement(using: &random)!
        let whole = pair.table.granularity.bytes(of: start..<start + count)
        guard count > 1, Bool.random(using: &random) else { return whole }
        return ByteRange(whole.lowerBound + 1, whole.upperBound - 1)
    }
}
