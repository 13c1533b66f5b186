import Synchronization

// The copier's side. All of it runs on the job's queue, one call at a time, except `release` and
// `giveBack`, which a lane may call.

extension DirtyTable {
    /// Takes the first extent at or after granule `start`: a run of dirty granules inside one
    /// shard, at most `limit` long, none of them claimed or forwarded. They are clean and claimed
    /// when it returns, and the caller's next read of the source sees every write that was marked
    /// before (R2).
    ///
    /// - Parameter givesPagesBack: whether a shard that becomes clean gives its page back; right
    ///   for a pass that will not come again, wasteful where the guest goes on writing.
    /// - Precondition: `limit` is at least 1.
    /// - Returns: the granules, or nil where nothing that may be taken is left.
    public func takeExtent(from start: Int, limit: Int, givesPagesBack: Bool = false) -> Range<Int>?
    {
        precondition(limit > 0, "an extent of no granules")
        var start = start
        while let shard = firstNotedShard(from: start / granulesPerShard) {
            let first = max(start, shard * granulesPerShard)
            if let extent = take(in: shard, from: first, limit: limit, givesPagesBack) {
                // The full fence of the copier's step b (docs/invariants.md): clears before the
                // caller's read of the source.
                atomicMemoryFence(ordering: .sequentiallyConsistent)
                return extent
            }
            start = (shard + 1) * granulesPerShard
        }
        return nil
    }

    /// Whether `takeExtent` would find something: what a copier asks before it sleeps. A table that
    /// is not clean may have nothing to take, where all that is dirty is claimed or forwarded.
    public var canTake: Bool {
        var start = 0
        while let shard = firstNotedShard(from: start) {
            if canTake(in: shard, from: shard * granulesPerShard) { return true }
            start = shard + 1
        }
        return false
    }

    /// Ends a claim: the copy is on the target.
    public func release(_ extent: Range<Int>) {
        claims.withLock(ofShard: extent.lowerBound / granulesPerShard) { holds in
            guard let index = holds.claims.firstIndex(where: { $0.granules == extent }) else {
                preconditionFailure("released an extent that was not claimed")
            }
            kept?.endClaim(holds.claims[index].slot)
            holds.claims.swapAt(index, holds.claims.count - 1)
            holds.claims.removeLast()
        }
        counters.addClaimed(-extent.count)
    }

    /// Ends a claim whose copy failed: dirty again before it is free again (R4). Wakes nobody, as
    /// `release` does not; the lane tells the job's queue that it has finished.
    public func giveBack(_ extent: Range<Int>) {
        markUncounted(granularity.bytes(of: extent))
        release(extent)
    }

    /// Forgets every mark at or after granule `start`. Only while nothing is claimed or forwarded.
    public func forgetAll(from start: Int) {
        while let extent = takeExtent(from: start, limit: .max, givesPagesBack: true) {
            release(extent)
        }
    }

    /// Moves every mark into `other`, the length's too, where nobody copies from this table. Marks
    /// that come meanwhile are moved or stay. Wakes nobody, and `other` is not in sync before all
    /// is moved.
    public func drain(into other: DirtyTable) {
        other.counters.addOwnMarks(1)
        if isLengthDirty {
            takeLength()
            other.counters.setLengthDirty()
            settleLength()
        }
        var start = 0
        while let extent = takeExtent(from: start, limit: .max, givesPagesBack: true) {
            other.markUncounted(granularity.bytes(of: extent))
            release(extent)
            start = extent.upperBound
        }
        other.counters.addOwnMarks(-1)
    }

    /// The first shard at or after `shard` that may be dirty.
    func firstNotedShard(from shard: Int) -> Int? {
        var (start, inner) = shard.quotientAndRemainder(dividingBy: DirtyRegion.shards)
        while let index = firstRegion(from: start) {
            if index > start { inner = 0 }
            if let region = unsafe region(index) {
                let noted = unsafe region._withUnsafeGuaranteedRef { $0.firstNoted(from: inner) }
                if let noted { return index * DirtyRegion.shards + noted }
            }
            (start, inner) = (index + 1, 0)
        }
        return nil
    }

    private func take(
        in shard: Int, from start: Int, limit: Int, _ givesPagesBack: Bool
    ) -> Range<Int>? {
        guard let reference = unsafe region(shard / DirtyRegion.shards) else { return nil }
        return unsafe reference._withUnsafeGuaranteedRef { region in
            claims.withLock(ofShard: shard) { holds in
                guard let page = unsafe page(of: shard, region) else { return nil }
                let base = shard * granulesPerShard
                let found = unsafe page._withUnsafeGuaranteedRef { page in
                    claim(in: page, base, from: start, limit: limit, &holds)
                }
                let isEmpty = unsafe page._withUnsafeGuaranteedRef {
                    forgetIfEmpty(shard, $0, region)
                }
                if isEmpty, givesPagesBack { reclaimPage(shard, region) }
                return found
            }
        }
    }

    private func canTake(in shard: Int, from start: Int) -> Bool {
        guard let reference = unsafe region(shard / DirtyRegion.shards) else { return false }
        return unsafe reference._withUnsafeGuaranteedRef { region in
            claims.withLock(ofShard: shard) { holds in
                guard let page = unsafe page(of: shard, region) else { return false }
                return unsafe page._withUnsafeGuaranteedRef { page in
                    let base = shard * granulesPerShard
                    return freeRun(in: page, base, from: start, limit: 1, holds) != nil
                }
            }
        }
    }

    /// The page of a shard, made from its all-dirty state where it has none. Under the shard's
    /// lock.
    @unsafe
    private func page(of shard: Int, _ region: DirtyRegion) -> Unmanaged<DirtyPage>? {
        let index = shard % DirtyRegion.shards
        switch unsafe region.state(index) {
        case .page(let page): return unsafe page
        case .clean:
            region.forget(index)
            return nil
        case .full:
            let page = unsafe Unmanaged.passRetained(newPage(shard, isFull: true))
            unsafe region.put(page, index)
            return unsafe page
        }
    }

    /// Finds a run, clears it and claims it. Under the shard's lock.
    private func claim(
        in page: DirtyPage, _ base: Int, from start: Int, limit: Int, _ holds: inout Holds
    ) -> Range<Int>? {
        guard let run = freeRun(in: page, base, from: start, limit: limit, holds) else {
            return nil
        }
        // Noted for a successor before a bit of it is cleared (R4).
        let slot = kept?.beginClaim(granularity.bytes(of: run))
        // Counted as taken and claimed before it is counted as clean: see `isInSync`.
        counters.addClaimed(run.count)
        counters.noteTake()
        counters.addDirty(-page.clear(run.lowerBound - base..<run.upperBound - base))
        holds.claims.append(Claim(granules: run, slot: slot))
        holds.touch(run)
        return run
    }

    /// The first run of dirty granules at or after `start` that are neither claimed nor forwarded
    /// (R3).
    private func freeRun(
        in page: DirtyPage, _ base: Int, from start: Int, limit: Int, _ holds: Holds
    ) -> Range<Int>? {
        var local = start - base
        while let first = page.firstDirty(from: local) {
            if let claim = holds.claim(of: base + first) {
                local = claim.upperBound - base
                continue
            }
            var end = first + min(limit, granulesPerShard - first)
            if let forward = holds.forwarded(from: base + first, granularity) {
                if forward.contains(base + first) {
                    local = forward.upperBound - base
                    continue
                }
                end = min(end, forward.lowerBound - base)
            }
            if let claim = holds.nextClaim(after: base + first) { end = min(end, claim - base) }
            let last = page.firstClean(from: first, below: end)
            return base + first..<base + last
        }
        return nil
    }

    /// Takes the shard out of the region's summary where nothing is left, unless it is marked
    /// meanwhile: summary before children, then a look.
    private func forgetIfEmpty(_ shard: Int, _ page: DirtyPage, _ region: DirtyRegion) -> Bool {
        guard page.isEmpty else { return false }
        region.forget(shard % DirtyRegion.shards)
        if page.isEmpty { return true }
        _ = region.note(shard % DirtyRegion.shards)
        return false
    }
}
