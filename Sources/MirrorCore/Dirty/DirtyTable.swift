import Synchronization

/// Which granules of an image differ, or may differ, from its twin.
///
/// Four levels: table → regions of 512 GiB → shards of 128 MiB → words of 64 granules. A region
/// exists once something in it was marked. A shard has a page of bits only while it is neither
/// clean nor all dirty. Above the bits stand summaries: a bit says that something below may be
/// dirty.
///
/// Markers (any thread, no lock, no allocation but for a shard's first page: R7) go up: bits, then
/// the summaries above them, each level only when the one below was all clear. Takers (the job's
/// queue) go down under the shard's lock: summary, then bits. So a taker who clears a summary
/// either sees the bit or its marker, later, sets the summary again. A marker that finds a level
/// already set leaves the levels above to whoever set it first; that one still counts in the gauge,
/// and wakes the copier when it is done, so nothing is missed for longer than it takes to mark.
///
/// A granule is dirty (bit), claimed (in the list of its shard's lock), both (marked again while it
/// is copied) or neither. `mark` sets dirty. `takeExtent` turns dirty into claimed and never takes
/// what is claimed (R3). `release` ends a claim; `giveBack` marks first (R4). A granule with
/// neither may be forwarded (`beginForward`): that excludes claims as claims exclude each other.
///
/// Pages are given back when a shard becomes clean and no change is under way near it: a marker
/// counts in the gauge (the job's own in `Counters.ownMarks`) while it uses a page, so an idle
/// gauge after the page was unhooked proves nobody has it.
///
/// The bits, and which shards have any, may lie in memory that outlives the process
/// (`SharedMarks`).
@safe
public final class DirtyTable: Sendable {
    public let granularity: Granularity
    let granulesPerShard: Int

    /// 8192 regions: offsets up to 4 PiB.
    static let regionCount = 8192
    /// The first offset that cannot be tracked, in bytes.
    public static let limit = UInt64(regionCount * DirtyRegion.shards) << UInt64(ShardIndex.shift)

    /// Regions as unmanaged references, 0 where there is none; those of the first 32 TiB are near.
    /// Never freed before the table.
    let regions = LongWords(count: regionCount, near: 64)
    /// A bit for each region, set before the region is: what has a region has its bit.
    let regionSummary: AtomicWords
    let gauge: WriteGauge
    package let claims = ClaimLocks()
    let counters: Counters
    /// What a successor will find; nil where the table ends with the process.
    let kept: SharedMarks?

    /// - Parameters:
    ///   - gauge: counts the changes of the image; every caller of `mark` is counted in it.
    ///   - memory: where the marks lie for a successor: zeroed, at least `TableMemory.size` bytes.
    ///     A successor believes them once `settle` was called. Nil for memory of the table's own.
    ///   - owner: what the memory belongs to; the successor must say the same.
    public convenience init(
        granularity: Granularity, gauge: WriteGauge, memory: TableMemory? = nil,
        owner: UInt64 = 0
    ) {
        let kept = memory.map { SharedMarks(formatting: $0, granularity, owner: owner) }
        self.init(granularity, gauge, kept)
    }

    init(_ granularity: Granularity, _ gauge: WriteGauge, _ kept: SharedMarks?) {
        (self.granularity, self.gauge, self.kept) = (granularity, gauge, kept)
        granulesPerShard = granularity.granulesPerShard
        if let kept {
            regionSummary = kept.regionSummary
            counters = Counters(length: kept.length)
        } else {
            regionSummary = AtomicWords(count: Self.regionCount / 64)
            counters = Counters()
        }
    }

    deinit {
        for index in 0..<regions.used {
            if let region = unsafe region(index) { unsafe region.release() }
        }
    }

    /// Marks every granule that `range` touches. The caller has entered the gauge for `range`, has
    /// written the source, and has not replied (R1). Tens of nanoseconds for a range in one word.
    ///
    /// - Returns: whether the copier slept and must be woken.
    @inline(__always)
    public func mark(_ range: ByteRange) -> Bool {
        markGranules(granularity.granules(touching: range.clamped(below: Self.limit)))
        return counters.shouldWake()
    }

    /// Marks the image's size as changed; `mark` for the end of the file.
    public func markLength() -> Bool {
        counters.setLengthDirty()
        return counters.shouldWake()
    }

    /// `mark` for callers who are not counted in the gauge: the job itself, on its queue or on a
    /// lane. It wakes nobody, so a lane must make the job's queue look at the table afterwards.
    public func markUncounted(_ range: ByteRange) {
        counters.addOwnMarks(1)
        markGranules(granularity.granules(touching: range.clamped(below: Self.limit)))
        counters.addOwnMarks(-1)
    }

    private func markGranules(_ granules: Range<Int>) {
        var next = granules.lowerBound
        while next < granules.upperBound {
            let shard = granularity.shard(of: next)
            let end = min(granules.upperBound, (shard + 1) * granulesPerShard)
            mark(next - shard * granulesPerShard..<end - shard * granulesPerShard, shard)
            next = end
        }
    }

    /// Marks granules of one shard, counted from its start.
    @inline(__always)
    private func mark(_ local: Range<Int>, _ shard: Int) {
        let index = shard % DirtyRegion.shards
        while true {
            let reference = unsafe regionMade(shard / DirtyRegion.shards)
            let isDone = unsafe reference._withUnsafeGuaranteedRef { region in
                switch unsafe region.state(index) {
                case .full:
                    return region.isStillFull(index)
                case .page(let page):
                    let (added, isFirst) = unsafe page._withUnsafeGuaranteedRef { $0.set(local) }
                    if isFirst { note(shard, region) }
                    if added > 0 { counters.addDirty(added) }
                    return true
                case .clean:
                    return prepare(local, shard, region)
                }
            }
            if isDone { return }
        }
    }

    private func note(_ shard: Int, _ region: DirtyRegion) {
        _ = region.note(shard % DirtyRegion.shards)
    }

    /// First mark of a clean shard: all dirty at once, or a page to mark in. Says whether all is
    /// done.
    private func prepare(_ local: Range<Int>, _ shard: Int, _ region: DirtyRegion) -> Bool {
        let index = shard % DirtyRegion.shards
        return claims.withLock(ofShard: shard) { _ in
            guard case .clean = unsafe region.state(index) else { return false }
            guard local.count == granulesPerShard else {
                let page = newPage(shard, isFull: false)
                unsafe region.put(.passRetained(page), index)
                return false
            }
            kept?.makeFull(shard)
            region.makeFull(index)
            _ = region.note(index)
            counters.addDirty(granulesPerShard)
            return true
        }
    }
}
