// Whoever compares source and twin while guests write. Any thread, one watch of a table at a time.

extension DirtyTable {
    /// What is known of some granules.
    public enum WatchState: Sendable {
        /// Neither dirty nor claimed nor forwarded, and since the watch began neither taken nor
        /// forwarded: nothing of the job has written them to the twin meanwhile.
        case still
        /// Dirty or claimed: the copier will come, or is there.
        case dirty
        /// A guest's write to them goes to the twin beside the source, or they were written since
        /// the watch began.
        case moving
    }

    /// From now on it is noted when the copier takes granules of `range` or a write to them is
    /// forwarded, until `endWatch`. O(words of the range), under the shard's lock.
    ///
    /// - Precondition: `range` is not empty and lies in one shard, and nothing is being watched.
    /// - Returns: how the granules are now.
    public func beginWatch(_ range: ByteRange) -> WatchState {
        withHolds(of: range) { granules, shard, holds in
            precondition(holds.watch == nil, "watched already")
            precondition(granules.upperBound <= (shard + 1) * granulesPerShard)
            holds.watch = Holds.Watch(granules: granules)
            return state(of: granules, shard, holds)
        }
    }

    /// How the granules of the watch that `range` began are now, and whether they were left alone
    /// since.
    public func watched(_ range: ByteRange) -> WatchState {
        withHolds(of: range) { granules, shard, holds in
            let state = state(of: granules, shard, holds)
            return state == .still && holds.watch?.isTouched != false ? .moving : state
        }
    }

    /// Ends the watch that `range` began.
    public func endWatch(_ range: ByteRange) { withHolds(of: range) { $2.watch = nil } }

    private func withHolds<Result>(
        of range: ByteRange, _ body: (Range<Int>, _ shard: Int, inout Holds) -> Result
    ) -> Result {
        let granules = granularity.granules(touching: range)
        let shard = granularity.shard(of: granules.lowerBound)
        return claims.withLock(ofShard: shard) { body(granules, shard, &$0) }
    }

    /// Under the shard's lock. A mark may come at any time; that none came is for the gauge to say.
    private func state(of granules: Range<Int>, _ shard: Int, _ holds: Holds) -> WatchState {
        if firstDirty(granules, shard) < granules.upperBound { return .dirty }
        if holds.claims.contains(where: { $0.granules.overlaps(granules) }) { return .dirty }
        return holds.forwards.overlapCount(granularity.bytes(of: granules)) > 0 ? .moving : .still
    }
}

extension Holds {
    /// Granules that somebody compares.
    struct Watch: Sendable {
        let granules: Range<Int>
        /// Something of them was taken or forwarded since.
        var isTouched = false
    }

    /// `granules` are about to be written to the twin. Under the shard's lock, before they are.
    mutating func touch(_ granules: Range<Int>) {
        guard let watch, watch.granules.overlaps(granules) else { return }
        self.watch?.isTouched = true
    }
}
