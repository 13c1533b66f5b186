// Whoever asks which parts of an image have nothing left to copy. Any thread.

extension DirtyTable {
    /// Which of `count` parts from `offset` on, each of 2^`partShift` bytes, have no granule that
    /// is dirty, claimed or being forwarded: bit i is part i. All at one instant, under the shard's
    /// lock; a mark that is under way may come right after. O(words of the parts).
    ///
    /// - Precondition: the parts lie in one shard, and `offset` on the edge of one.
    public func settledParts(at offset: UInt64, partShift: UInt64, count: Int) -> UInt64 {
        let shard = ShardIndex(containing: offset).value
        return claims.withLock(ofShard: shard) { holds in
            var settled: UInt64 = 0
            for part in 0..<count {
                let start = offset + UInt64(part) << partShift
                let granules = granularity.granules(
                    touching: ByteRange(start, start + 1 << partShift))
                if isSettled(granules, shard, holds) { settled |= 1 << UInt64(part) }
            }
            return settled
        }
    }

    private func isSettled(_ granules: Range<Int>, _ shard: Int, _ holds: Holds) -> Bool {
        firstDirty(granules, shard) == granules.upperBound
            && !holds.claims.contains { $0.granules.overlaps(granules) }
            && holds.forwards.overlapCount(granularity.bytes(of: granules)) == 0
    }
}
