// A table whose marks outlive the process (`SharedMarks`): what its users do for that.

extension DirtyTable {
    /// Whether a successor will find the marks.
    public var isKept: Bool { kept != nil }

    /// From here on a successor may believe what the memory says; before, it takes everything for
    /// dirty (R10). Once all is marked that has to be at first.
    public func settle() { kept?.settle() }

    /// Before the source is changed in `range`, or its size: a successor that does not find the
    /// change ended takes it for dirty, and the size too. Does nothing where the table is not kept.
    ///
    /// - Parameters:
    ///   - isTruncation: whether everything from `range` on may change.
    ///   - slot: of the image's `SlotNumbers`, until `endChange`; nil where there is none free: a
    ///     successor takes everything for dirty then.
    @inline(__always)
    public func beginChange(_ range: ByteRange, isTruncation: Bool = false, slot: Int?) {
        kept?.beginChange(range, isTruncation: isTruncation, slot)
    }

    /// After the change is marked, and before the reply.
    @inline(__always)
    public func endChange(slot: Int?) { kept?.endChange(slot) }

    /// The table of a predecessor: what it had marked, claimed, or under way is dirty.
    ///
    /// Nil where the memory does not hold a table of this owner, or one that may miss marks:
    /// everything is dirty then (R10). The memory is a table's still, and this can be done again if
    /// the process ends meanwhile: what was under way is marked before it is forgotten.
    public convenience init?(recovering memory: TableMemory, gauge: WriteGauge, owner: UInt64 = 0) {
        guard let kept = SharedMarks(reading: memory, owner: owner),
            let left = kept.underWay()
        else { return nil }
        self.init(kept.granularity, gauge, kept)
        recoverShards(kept)
        for range in left.changes + left.claims { markUncounted(range) }
        if kept.length.load(0) != 0 || !left.changes.isEmpty { _ = markLength() }
        settleLength()
        kept.endAll()
    }

    private func recoverShards(_ kept: SharedMarks) {
        var start = 0
        while let index = firstRegion(from: start) {
            start = index + 1
            let reference = unsafe regionMade(index)
            unsafe reference._withUnsafeGuaranteedRef { region in
                let words = DirtyRegion.shards / 64
                for word in index * words..<start * words where kept.hasShards(inWord: word) {
                    for shard in word * 64..<(word + 1) * 64 { recover(shard, region, kept) }
                }
            }
        }
    }

    private func recover(_ shard: Int, _ region: DirtyRegion, _ kept: SharedMarks) {
        let index = shard % DirtyRegion.shards
        switch kept.recovered(shard) {
        case nil: return
        case .full:
            region.makeFull(index)
            counters.addDirty(granulesPerShard)
        case .page(let page):
            counters.addDirty(page.count)
            unsafe region.put(.passRetained(page), index)
            if page.isEmpty { return }
        }
        _ = region.note(index)
    }
}
