extension DirtyTable {
    /// Bytes of dirty granules.
    public var dirtyBytes: Int { counters.dirty * granularity.bytes }
    /// Bytes of claimed granules.
    public var claimedBytes: Int { counters.claimed * granularity.bytes }

    /// Whether nothing is dirty, nothing claimed, and the size not changed. Says nothing of changes under
    /// way: R5 is this only where the gate is held and its gauge was idle before, else `isInSync`.
    ///
    /// Claims are read before dirt: a lane that gives an extent back marks it before it releases it.
    public var isClean: Bool {
        counters.claimed == 0 && isUnmarked
    }

    /// R5 without holding anything back: whether there was an instant during the call at which nothing
    /// was dirty, claimed, or between its source write and its mark. Any thread; a size that was taken
    /// (`takeLength`) and is not yet the twin's is the caller's to account for.
    ///
    /// The order is the proof. No claim, and none made before the end, else `takes` would have moved: a
    /// claim is counted, then the take, and only then are marks cleared. Then the gauge, read idle from
    /// an instant T on (`WriteGauge.isIdle`). Then no mark: none was cleared meanwhile, so there was
    /// none at T, and no change that had its mark still to come. With the gauge read first, an extent
    /// could be copied after T while a change not yet marked was already in the source: no claim
    /// later, no change at T, and no one instant with neither.
    public var isInSync: Bool {
        let takes = counters.takes
        return counters.claimed == 0 && !counters.hasOwnMarks && gauge.isIdle && isUnmarked
            && counters.takes == takes
    }

    private var isUnmarked: Bool { counters.dirty == 0 && !counters.isLengthDirty }

    public var isLengthDirty: Bool { counters.isLengthDirty }

    /// The job takes over the change of size: cleared before the size is read (R2 for the length).
    public func takeLength() {
        counters.noteTake()
        counters.clearLengthDirty()
    }

    /// The next mark answers that the copier must be woken. Look at the table once more after this.
    public func fallAsleep() { counters.fallAsleep() }

    /// The copier works: marks need not wake it.
    public func stayAwake() { counters.stayAwake() }

    /// Whether the copier has slept since it last found the table clean: nothing was marked or taken since.
    public var isAsleep: Bool { counters.isAsleep }

    /// Up to `limit` dirty extents in ascending order, as bytes, each as long as it is dirty; a report,
    /// not a claim: marks that come or go meanwhile may be missing or stay. All-dirty shards count whole.
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
