import Testing

@testable import MirrorCore

/// What a dirty table should be, naively: a set of granules, and a list of claims.
struct ShadowTable {
    let granularity: Granularity
    private(set) var dirty: Set<Int> = []
    private(set) var claims: [Range<Int>] = []
    var isLengthDirty = false

    /// Granules in a shard of 128 MiB, computed on its own.
    var granulesPerShard: Int { 134_217_728 / granularity.bytes }

    mutating func mark(_ range: ByteRange) {
        let size = UInt64(granularity.bytes)
        var granule = range.lowerBound / size
        while granule * size < range.upperBound, !range.isEmpty {
            dirty.insert(Int(granule))
            granule += 1
        }
    }

    mutating func take(from start: Int, limit: Int) -> Range<Int>? {
        let free = dirty.filter { granule in !claims.contains { $0.contains(granule) } }
        guard let first = free.filter({ $0 >= start }).min() else { return nil }
        var end = first + 1
        while free.contains(end), end - first < limit, end % granulesPerShard != 0 { end += 1 }
        dirty.subtract(first..<end)
        claims.append(first..<end)
        return first..<end
    }

    mutating func release(_ claim: Range<Int>) { claims.removeAll { $0 == claim } }

    mutating func giveBack(_ claim: Range<Int>) {
        release(claim)
        dirty.formUnion(claim)
    }

    mutating func forgetAll(from start: Int) { dirty = dirty.filter { $0 < start } }

    var extents: [ByteRange] {
        let size = UInt64(granularity.bytes)
        var extents: [ByteRange] = []
        for granule in dirty.sorted() {
            let bytes = ByteRange(UInt64(granule) * size, UInt64(granule + 1) * size)
            if let last = extents.last, last.upperBound == bytes.lowerBound {
                extents[extents.count - 1] = ByteRange(last.lowerBound, bytes.upperBound)
            } else {
                extents.append(bytes)
            }
        }
        return extents
    }
}

/// A real table and its shadow, driven side by side and compared after every operation.
struct Pair {
    let gauge = WriteGauge()
    let table: DirtyTable
    private(set) var shadow: ShadowTable

    init(_ granularity: Granularity) {
        table = DirtyTable(granularity: granularity, gauge: gauge)
        shadow = ShadowTable(granularity: granularity)
    }

    mutating func mark(_ range: ByteRange, counted: Bool = true) throws {
        if counted {
            gauge.enter(range)
            _ = table.mark(range)
            gauge.leave(range)
        } else {
            table.markUncounted(range)
        }
        shadow.mark(range)
        try compare("mark \(range)")
    }

    mutating func markGranules(_ granules: Range<Int>) throws {
        try mark(table.granularity.bytes(of: granules))
    }

    @discardableResult
    mutating func take(
        from start: Int = 0, limit: Int = .max, givesPagesBack: Bool = false
    ) throws -> Range<Int>? {
        let extent = table.takeExtent(from: start, limit: limit, givesPagesBack: givesPagesBack)
        try #require(extent == shadow.take(from: start, limit: limit), "take from \(start)")
        try compare("take from \(start), limit \(limit)")
        return extent
    }

    mutating func release(_ extent: Range<Int>) throws {
        table.release(extent)
        shadow.release(extent)
        try compare("release \(extent)")
    }

    mutating func giveBack(_ extent: Range<Int>) throws {
        table.giveBack(extent)
        shadow.giveBack(extent)
        try compare("give back \(extent)")
    }

    mutating func forgetAll(from start: Int = 0) throws {
        table.forgetAll(from: start)
        shadow.forgetAll(from: start)
        try compare("forget from \(start)")
    }

    mutating func markLength() throws {
        _ = table.markLength()
        shadow.isLengthDirty = true
        try compare("mark length")
    }

    mutating func takeLength() throws {
        table.takeLength()
        shadow.isLengthDirty = false
        try compare("take length")
    }

    private func compare(_ operation: String) throws {
        let size = table.granularity.bytes
        let extents = shadow.extents
        let claimed = shadow.claims.reduce(0) { $0 + $1.count }
        let comment = Comment(rawValue: "after \(operation)")
        try #require(table.dirtyExtents(limit: .max) == extents, comment)
        try #require(table.dirtyExtents(limit: 2) == Array(extents.prefix(2)), comment)
        try #require(table.dirtyBytes == shadow.dirty.count * size, comment)
        try #require(table.claimedBytes == claimed * size, comment)
        try #require(table.isLengthDirty == shadow.isLengthDirty, comment)
        let isClean = shadow.dirty.isEmpty && claimed == 0 && !shadow.isLengthDirty
        try #require(table.isClean == isClean, comment)
        try #require(table.isInSync == isClean, comment)
    }
}

/// SplitMix64: small, and the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

let testedGranularities = [512, 4096, 65536, 1 << 20, 64 << 20].map { Granularity(bytes: $0)! }
