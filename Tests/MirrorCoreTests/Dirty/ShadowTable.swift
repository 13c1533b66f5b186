import Testing

@testable import MirrorCore

/// What a dirty table should be, naively: a set of granules, and lists of claims and forwards.
struct ShadowTable {
    let granularity: Granularity
    private(set) var dirty: Set<Int> = []
    private(set) var claims: [Range<Int>] = []
    private(set) var forwards: [ByteRange] = []
    var isLengthDirty = false
    var isLengthTaken = false
    /// Changes of the source that have begun and not ended.
    var changes: [ByteRange] = []

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

    /// Dirty granules that the copier may take.
    var free: Set<Int> {
        dirty.filter { granule in
            !claims.contains { $0.contains(granule) }
                && !forwards.contains { share($0, bytes(granule)) != nil }
        }
    }

    private func bytes(_ granule: Int) -> ByteRange {
        ByteRange(at: UInt64(granule * granularity.bytes), count: UInt64(granularity.bytes))
    }

    /// The bytes that both have, computed on its own; nil for none.
    private func share(_ one: ByteRange, _ other: ByteRange) -> ByteRange? {
        let (low, high) = (
            max(one.lowerBound, other.lowerBound), min(one.upperBound, other.upperBound)
        )
        return low < high ? ByteRange(low, high) : nil
    }

    /// Granule by granule, each glued to the one before where that is not at a shard's edge.
    mutating func beginForward(_ range: ByteRange) -> [ByteRange] {
        var pieces: [ByteRange] = []
        var granule = Int(range.lowerBound) / granularity.bytes
        while let part = share(range, bytes(granule)) {
            let isTaken = claims.contains { $0.contains(granule) }
            let isBusy = isTaken || forwards.contains { share($0, part) != nil }
            if !isBusy, !dirty.contains(granule) {
                if let last = pieces.last, last.upperBound == part.lowerBound,
                    granule % granulesPerShard != 0
                {
                    pieces[pieces.count - 1] = ByteRange(last.lowerBound, part.upperBound)
                } else {
                    pieces.append(part)
                }
            }
            granule += 1
        }
        forwards += pieces
        return pieces
    }

    /// Whether a copier that sleeps must be woken.
    mutating func endForward(_ piece: ByteRange, isForQuiet: Bool) -> Bool {
        forwards.removeAll { $0 == piece }
        return dirty.contains { share(bytes($0), piece) != nil } || isForQuiet && forwards.isEmpty
    }

    mutating func take(from start: Int, limit: Int) -> Range<Int>? {
        let free = free
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

    /// What a successor takes for dirty.
    var afterDeath: ShadowTable {
        var after = ShadowTable(granularity: granularity)
        after.dirty = dirty
        for claim in claims { after.dirty.formUnion(claim) }
        for change in changes { after.mark(change) }
        after.isLengthDirty = isLengthDirty || isLengthTaken || !changes.isEmpty
        return after
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
    /// Where the table lies; after every operation it is also recovered from there.
    private let memory: VictimMemory?

    init(_ granularity: Granularity, in memory: VictimMemory? = nil) {
        self.memory = memory
        table = DirtyTable(granularity: granularity, gauge: gauge, memory: memory?.shared)
        table.settle()
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

    mutating func beginForward(_ range: ByteRange) throws -> [ByteRange] {
        var pieces: [ByteRange] = []
        table.beginForward(range, into: &pieces)
        try #require(pieces == shadow.beginForward(range), "forward \(range)")
        try compare("forward \(range)")
        return pieces
    }

    /// Ends a forward while the copier sleeps, and compares whether it is woken.
    mutating func endForward(
        _ piece: ByteRange, isFailure: Bool = false, isForQuiet: Bool = false
    ) throws {
        table.fallAsleep(isForQuiet: isForQuiet)
        let mustWake = isFailure ? table.failForward(piece) : table.endForward(piece)
        if isFailure { shadow.mark(piece) }
        try #require(mustWake == shadow.endForward(piece, isForQuiet: isForQuiet), "end \(piece)")
        try #require(table.isAsleep == !mustWake)
        table.stayAwake()
        try compare("\(isFailure ? "fail" : "end") forward \(piece)")
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
        shadow.isLengthTaken = true
        try compare("take length")
    }

    mutating func settleLength() throws {
        table.settleLength()
        shadow.isLengthTaken = false
        try compare("settle length")
    }

    mutating func beginChange(_ range: ByteRange, slot: Int?) throws {
        table.beginChange(range, slot: slot)
        shadow.changes.append(range)
        try compare("begin change \(range)")
    }

    mutating func endChange(_ range: ByteRange, slot: Int?) throws {
        table.endChange(slot: slot)
        shadow.changes.remove(at: try #require(shadow.changes.firstIndex(of: range)))
        try compare("end change \(range)")
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
        let forwarded = shadow.forwards.reduce(0) { $0 + Int($1.count) }
        try #require(table.forwardedBytes == forwarded, comment)
        try #require(table.canTake == !shadow.free.isEmpty, comment)
        try compareHolds(comment)
        let isClean =
            shadow.dirty.isEmpty && claimed == 0 && forwarded == 0 && !shadow.isLengthDirty
        try #require(table.isClean == isClean, comment)
        try #require(table.isInSync == isClean, comment)
        try compareRecovered(comment)
    }

    /// What a successor would find if the process ended here.
    private func compareRecovered(_ comment: Comment) throws {
        guard let memory else { return }
        let copy = try #require(
            DirtyTable(recovering: memory.copied, gauge: WriteGauge()), comment)
        let expected = shadow.afterDeath
        try #require(copy.granularity == table.granularity)
        try #require(copy.dirtyExtents(limit: .max) == expected.extents, comment)
        let dirtyBytes = expected.dirty.count * table.granularity.bytes
        try #require(copy.dirtyBytes == dirtyBytes, comment)
        try #require(copy.isLengthDirty == expected.isLengthDirty, comment)
        try #require(copy.claimedBytes == 0 && copy.forwardedBytes == 0, comment)
        try #require(copy.canTake == !expected.dirty.isEmpty, comment)
    }

    /// The lists under the locks are the shadow's, and no granule is in both (R3).
    private func compareHolds(_ comment: Comment) throws {
        var claims: [Range<Int>] = []
        var forwards: [ByteRange] = []
        for stripe in 0..<64 {
            table.claims.withLock(ofShard: stripe) { holds in
                claims += holds.claims.map(\.granules)
                forwards += holds.forwards.ranges
            }
        }
        try #require(
            Set(claims) == Set(shadow.claims) && claims.count == shadow.claims.count, comment)
        try #require(
            Set(forwards) == Set(shadow.forwards) && forwards.count == shadow.forwards.count,
            comment)
        for forward in forwards {
            let granules = table.granularity.granules(touching: forward)
            try #require(!claims.contains { $0.overlaps(granules) }, comment)
        }
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
