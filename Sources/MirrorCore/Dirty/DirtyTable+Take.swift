import Synchronization

// The copier's side. All of it runs on the job's queue, one call at a time, except `release` and
// `giveBack`, which a lane may call.

extension DirtyTable {
    /// Takes the first extent at or after granule `start`: a run of dirty granules inside one shard, at
    /// most `limit` long, none of them claimed. They are clean and claimed when it returns, and the
    /// caller's next read of the source sees every write that was marked before (R2).
    ///
    /// - Parameter givesPagesBack: whether a shard that becomes clean gives its page back; right for a
    ///   pass that will not come again, wasteful where the guest goes on writing.
    /// - Precondition: `limit` is at least 1.
    /// - Returns: the granules, or nil where nothing that may be taken is left.
    public func takeExtent(from start: Int, limit: Int, givesPagesBack: Bool = false) -> Range<Int>?
    {
        precondition(limit > 0, "an extent of no granules")
        var start = start
        while let shard = firstNotedShard(from: start / granulesPerShard) {
            let first = max(start, shard * granulesPerShard)
            if let extent = take(in: shard, from: first, limit: limit, givesPagesBack) {
                // The full fence of step b: clears before the caller's read of the source.
                atomicMemoryFence(ordering: .sequentiallyConsistent)
                return extent
            }
            start = (shard + 1) * granulesPerShard
        }
        return nil
    }

    /// Ends a claim: the copy is on the target.
    public func release(_ extent: Range<Int>) {
        claims.withLock(ofShard: extent.lowerBound / granulesPerShard) { claims in
            guard let index = claims.firstIndex(of: extent) else {
                preconditionFailure("released an extent that was not claimed")
            }
            claims.swapAt(index, claims.count - 1)
            claims.removeLast()
        }
        counters.addClaimed(-extent.count)
    }

    /// Ends a claim whose copy failed: dirty again before it is free again (R4). Wakes nobody, as
    /// `release` does not; the lane tells the job's queue that it has finished.
    public func giveBack(_ extent: Range<Int>) {
        markUncounted(granularity.bytes(of: extent))
        release(extent)
    }

    /// Forgets every mark at or after granule `start`. Only while nothing is claimed.
    public func forgetAll(from start: Int) {
        while let extent = takeExtent(from: start, limit: .max, givesPagesBack: true) {
            release(extent)
        }
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
            claims.withLock(ofShard: shard) { claims in
                guard let page = unsafe page(of: shard, region) else { return nil }
                let base = shard * granulesPerShard
                let found = unsafe page._withUnsafeGuaranteedRef { page in
                    claim(in: page, base, from: start, limit: limit, &claims)
                }
                let isEmpty = unsafe page._withUnsafeGuaranteedRef {
                    forgetIfEmpty(shard, $0, region)
                }
                if isEmpty, givesPagesBack { reclaimPage(shard, region) }
                return found
            }
        }
    }

    /// The page of a shard, made from its all-dirty state where it has none. Under the shard's lock.
    @unsafe
    private func page(of shard: Int, _ region: DirtyRegion) -> Unmanaged<DirtyPage>? {
        let index = shard % DirtyRegion.shards
        switch unsafe region.state(index) {
        case .page(let page): return unsafe page
        case .clean:
            region.forget(index)
            return nil
        case .full:
            let page = unsafe Unmanaged.passRetained(
                DirtyPage(granules: granulesPerShard, isFull: true))
            unsafe region.put(page, index)
            return unsafe page
        }
    }

    /// Finds a run, clears it and claims it. Under the shard's lock.
    private func claim(
        in page: DirtyPage, _ base: Int, from start: Int, limit: Int, _ claims: inout [Range<Int>]
    ) -> Range<Int>? {
        var local = start - base
        while let first = page.firstDirty(from: local) {
            if let other = claims.first(where: { $0.contains(base + first) }) {
                local = other.upperBound - base
                continue
            }
            let nextClaim = claims.lazy.map { $0.lowerBound - base }.filter { $0 > first }.min()
            let end = first + min(limit, granulesPerShard - first)
            let last = page.firstClean(from: first, below: min(end, nextClaim ?? end))
            // Counted as taken and claimed before it is counted as clean: see `isInSync`.
            counters.addClaimed(last - first)
            counters.noteTake()
            counters.addDirty(-page.clear(first..<last))
            claims.append(base + first..<base + last)
            return base + first..<base + last
        }
        return nil
    }

    /// Takes the shard out of the region's summary where nothing is left, unless it is marked meanwhile:
    /// summary before children, then a look.
    private func forgetIfEmpty(_ shard: Int, _ page: DirtyPage, _ region: DirtyRegion) -> Bool {
        guard page.isEmpty else { return false }
        region.forget(shard % DirtyRegion.shards)
        if page.isEmpty { return true }
        _ = region.note(shard % DirtyRegion.shards)
        return false
    }
}
