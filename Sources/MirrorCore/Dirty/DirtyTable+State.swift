extension DirtyTable {
    /// Bytes of dirty granules.
    public var dirtyBytes: Int { counters.dirty * granularity.bytes }
    /// Bytes of claimed granules.
    public var claimedBytes: Int { counters.claimed * granularity.bytes }

    /// Bytes of guest writes that go to the twin beside the source.
    public var forwardedBytes: Int { counters.forwarded }

    /// Whether nothing is dirty, nothing claimed or forwarded, and the size not changed. Says
    /// nothing of changes under way: R5 is this only where the gate is held and its gauge was idle
    /// before, else `isInSync`.
    ///
    /// Claims and forwards are read before dirt: one that fails is marked before it ends.
    public var isClean: Bool { hasNoHolds && isUnmarked }

    /// R5 without holding anything back: `areInSync` of this table alone.
    public var isInSync: Bool { Self.areInSync(CollectionOfOne(self)) }

    /// R5 for several tables at one instant: whether there was one during the call at which in none
    /// of them anything was dirty, claimed, forwarded, or between its source write and its mark.
    /// Any thread; a size that was taken (`takeLength`) and is not yet the twin's is the caller's
    /// to account for.
    ///
    /// Each step is done for all tables before the next begins: that is the proof
    /// (docs/invariants.md).
    public static func areInSync(_ tables: some Collection<DirtyTable>) -> Bool {
        // Each only grows: the sum is unmoved where each is.
        let takes = tables.reduce(0) { $0 &+ $1.counters.takes }
        return tables.allSatisfy { $0.hasNoHolds && !$0.counters.hasOwnMarks }
            && tables.allSatisfy { $0.gauge.isIdle }
            && tables.allSatisfy { $0.isUnmarked }
            && tables.reduce(0) { $0 &+ $1.counters.takes } == takes
    }

    private var hasNoHolds: Bool { counters.claimed == 0 && counters.forwarded == 0 }
    private var isUnmarked: Bool { counters.dirty == 0 && !counters.isLengthDirty }

    /// Whether a mark by `markUncounted` is under way, which `takeExtent` may not find yet.
    public var hasOwnMarks: Bool { counters.hasOwnMarks }

    public var isLengthDirty: Bool { counters.isLengthDirty }

    /// The job takes over the change of size: cleared before the size is read (R2 for the length).
    /// For a successor it stays dirty until `settleLength`.
    public func takeLength() {
        counters.noteTake()
        counters.takeLength()
    }

    /// The size that was taken is the twin's, or is marked again (R4).
    public func settleLength() { counters.settleLength() }

    /// The next mark answers that the copier must be woken. Look at the table once more after this.
    ///
    /// - Parameter isForQuiet: whether the copier waits for the table to be in sync: then the end
    ///   of the last forward wakes it too, also over clean granules. It still has to look again
    ///   after a while: a write that has ended its forward may not have left the gauge.
    public func fallAsleep(isForQuiet: Bool = false) { counters.fallAsleep(isForQuiet: isForQuiet) }

    /// The copier works: marks need not wake it.
    public func stayAwake() { counters.stayAwake() }

    /// Whether the copier has slept since it last found the table clean: nothing was marked or
    /// taken since.
    public var isAsleep: Bool { counters.isAsleep }

    /// Up to `limit` dirty extents in ascending order, as bytes, each as long as it is dirty; a
    /// report, not a claim: marks that come or go meanwhile may be missing or stay. All-dirty
    /// shards count whole.
    public func dirtyExtents(limit: Int) -> [ByteRange] {
        var extents: [ByteRange] = []
        var start = 0
        while let run = nextRun(from: start) {
            let bytes = granularity.bytes(of: run)
            if let last = extents.last, last.upperBound == bytes.lowerBound {
                extents[extents.count - 1] = ByteRange(last.lowerBound, bytes.upperBound)
            } else if extents.count < limit {
                extents.append(bytes)
            } else {
                break
            }
            start = run.upperBound
        }
        return extents
    }

    /// Shards that have a page of bits. O(shards of the regions in use); for tests and reports.
    var pageCount: Int {
        var count = 0
        var start = 0
        while let index = firstRegion(from: start) {
            if let region = unsafe region(index) {
                count += unsafe region._withUnsafeGuaranteedRef { $0.pageCount }
            }
            start = index + 1
        }
        return count
    }

    /// The first run of dirty granules at or after `start`, inside one shard.
    private func nextRun(from start: Int) -> Range<Int>? {
        var start = start
        while let shard = firstNotedShard(from: start / granulesPerShard) {
            let base = shard * granulesPerShard
            if let run = run(in: shard, from: max(start, base) - base) {
                return base + run.lowerBound..<base + run.upperBound
            }
            start = base + granulesPerShard
        }
        return nil
    }

    private func run(in shard: Int, from local: Int) -> Range<Int>? {
        guard let reference = unsafe region(shard / DirtyRegion.shards) else { return nil }
        return claims.withLock(ofShard: shard) { _ in
            let state = unsafe reference._withUnsafeGuaranteedRef {
                unsafe $0.state(shard % DirtyRegion.shards)
            }
            switch unsafe state {
            case .clean: return nil
            case .full: return local..<granulesPerShard
            case .page(let page):
                return unsafe page._withUnsafeGuaranteedRef { page in
                    guard let first = page.firstDirty(from: local) else { return nil }
                    return first..<page.firstClean(from: first, below: granulesPerShard)
                }
            }
        }
    }
}
