import Testing

@testable import MirrorCore

/// A random sequence of operations near edges where something can go wrong.
struct ModelScript {
    private var pair: Pair
    private var random: SeededGenerator
    private var claims: [Range<Int>] = []
    private var forwards: [ByteRange] = []
    private var changes: [(range: ByteRange, slot: Int)] = []
    private let slots = SlotNumbers()
    private let anchors: [Int]

    init(_ granularity: Granularity, _ seed: UInt64, in memory: VictimMemory? = nil) {
        pair = Pair(granularity, in: memory)
        random = SeededGenerator(seed: seed)
        let shard = pair.table.granulesPerShard
        let region = shard * DirtyRegion.shards
        anchors = [
            0, 64, shard - 3, shard, shard + 60, 64 * shard, region - 2, region, region + 4096,
        ]
    }

    mutating func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<15: try pair.mark(randomBytes(), counted: true)
        case 15..<20: try pair.mark(randomBytes(), counted: false)
        case 20..<40: forwards += try pair.beginForward(randomBytes())
        case 40..<55: try endForward()
        case 55..<73: try take()
        case 73..<80: try endClaim { pair, claim in try pair.release(claim) }
        case 80..<90: try endClaim { pair, claim in try pair.giveBack(claim) }
        case 90..<93: try pair.markLength()
        case 93..<95: try pair.takeLength()
        case 95: try pair.settleLength()
        case 96..<98: try markShard()
        default: if claims.isEmpty, forwards.isEmpty { try pair.forgetAll(from: randomGranule()) }
        }
    }

    /// Changes of the source beside the rest, as a kept table has them.
    mutating func stepOfChanges() throws {
        if changes.count < 4, Bool.random(using: &random) {
            let range = randomBytes()
            let slot = try #require(slots.take(near: range.lowerBound))
            try pair.beginChange(range, slot: slot)
            changes.append((range, slot))
        } else if let index = changes.indices.randomElement(using: &random) {
            let change = changes.remove(at: index)
            try pair.endChange(change.range, slot: change.slot)
            slots.giveBack(change.slot)
        }
    }

    mutating func drain() throws {
        for change in changes { try pair.endChange(change.range, slot: change.slot) }
        while !claims.isEmpty { try endClaim { pair, claim in try pair.release(claim) } }
        while !forwards.isEmpty { try endForward() }
        try pair.takeLength()
        try pair.settleLength()
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

    private mutating func endForward() throws {
        guard let index = forwards.indices.randomElement(using: &random) else { return }
        let isFailure = Int.random(in: 0..<4, using: &random) == 0
        let isForQuiet = Bool.random(using: &random)
        try pair.endForward(
            forwards.remove(at: index), isFailure: isFailure, isForQuiet: isForQuiet)
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

    /// Mostly whole granules, sometimes a byte more or less, sometimes a part of one.
    private mutating func randomBytes() -> ByteRange {
        let start = randomGranule()
        if Int.random(in: 0..<4, using: &random) == 0 {
            let part = UInt64(pair.table.granularity.bytes / 4)
            let number = UInt64(start) * 4 + .random(in: 0..<4, using: &random)
            return ByteRange(at: number * part, count: part * .random(in: 1...3, using: &random))
        }
        let count = [0, 1, 2, 63, 64, 65, 130].randomElement(using: &random)!
        let whole = pair.table.granularity.bytes(of: start..<start + count)
        guard count > 1, Bool.random(using: &random) else { return whole }
        return ByteRange(whole.lowerBound + 1, whole.upperBound - 1)
    }
}
