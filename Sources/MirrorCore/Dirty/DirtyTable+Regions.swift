// The levels above the bits: how regions and pages come and go.

extension DirtyTable {
    /// A page for a shard that was clean or all dirty. Under the shard's lock, before anybody sees
    /// the page.
    func newPage(_ shard: Int, isFull: Bool) -> DirtyPage {
        kept?.makePage(shard, isFull: isFull)
            ?? DirtyPage(granules: granulesPerShard, isFull: isFull)
    }

    @unsafe
    func region(_ index: Int) -> Unmanaged<DirtyRegion>? {
        guard let raw = unsafe UnsafeRawPointer(bitPattern: UInt(regions.load(index))) else {
            return nil
        }
        return unsafe .fromOpaque(raw)
    }

    /// The first region at or after `index` that may exist. O(128) at most.
    func firstRegion(from index: Int) -> Int? {
        var index = index
        while index < Self.regionCount {
            let made = regionSummary.load(index / 64) & (.max << UInt64(index % 64))
            if made != 0 { return index / 64 * 64 + made.trailingZeroBitCount }
            index = (index / 64 + 1) * 64
        }
        return nil
    }

    /// The region, made where it does not exist yet.
    @inline(__always)
    @unsafe
    func regionMade(_ index: Int) -> Unmanaged<DirtyRegion> {
        if let region = unsafe region(index) { return unsafe region }
        _ = regionSummary.set(1 << UInt64(index % 64), index / 64)
        let new = unsafe Unmanaged.passRetained(DirtyRegion())
        let word = UInt64(UInt(bitPattern: unsafe new.toOpaque()))
        if !regions.replace(0, with: word, index).0 { unsafe new.release() }
        return unsafe region(index)!
    }

    /// Gives the page of a shard back where it has become clean and nobody can be using it. Under
    /// the shard's lock. A marker that saw the page before it was unhooked counts in the gauge; one
    /// that comes later finds the shard clean and waits for the lock.
    func reclaimPage(_ shard: Int, _ region: DirtyRegion) {
        let index = shard % DirtyRegion.shards
        guard case .page(let page) = unsafe region.state(index) else { return }
        region.makeClean(index)
        let isUnused =
            unsafe gauge.isIdle(ShardIndex(shard)) && !counters.hasOwnMarks
            && page._withUnsafeGuaranteedRef { $0.hasNoBits }
        if !isUnused { return unsafe region.put(page, index) }
        kept?.makeClean(shard)
        unsafe page.release()
    }
}
