extension DirtyTable {
    /// Bytes of dirty granules.
    public var dirtyBytes: Int { counters.dirty * granularity.bytes }
    /// Bytes of claimed granules.
    public var claimedBytes: Int { counters.claimed * granularity.bytes }

    /// Whether nothing is dirty, nothing claimed, and the size not changed. With an idle gauge read
    /// *before*, on the job's queue, this is R5: see `WriteGauge.isIdle`.
    ///
    /// Claims are read before dirt: a lane that gives an extent back marks it before it releases it.
    public var isClean: Bool {
        counters.claimed == 0 && counters.dirty == 0 && !counters.isLengthDirty
    }

    public var isLengthDirty: Bool { counters.isLengthDirty }

    /// The job takes over the change of size: cleared before the size is read (R2 for the length).
    public func takeLength() { counters.clearLengthDirty() }

    /// The next mark answers that the copier must be woken. Look at the table once more after this.
    public func fallAsleep() { counters.fallAsleep() }

    /// The copier works: marks need not wake it.
    public func stayAwake() { counters.stayAwake() }

    /// Whether the copier has slept since it last found the table clean: nothing was marked or taken since.
    public var isAsleep: Bool { counters.isAsleep }

    /// Up to `limit` dirty extents in ascending order, as bytes; a report, not a claim: marks that come or
    /// go meanwhile may be missing or stay. All-dirty shards count whole.
    public func dirtyExtents(limit: Int) -> [ByteRange] {
        var extents: [ByteRange] = []
        var start = 0
        while extents.count < limit, let run = nextRun(from: start) {
            let bytes = granularity.bytes(of: run)
            if let last = extents.last, last.upperBound == bytes.lowerBound {
                extents[extents.count - 1] = ByteRange(last.lowerBound, bytes.upperBound)
            } else {
                extents.append(bytes)
            }
            start = run.upperBound
        }
        return extents
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
