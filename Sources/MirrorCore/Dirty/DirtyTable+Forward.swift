import Synchronization

// Guest writes that go to the twin beside the source (`write-blocking`). Any thread.
//
// 1. The write enters the gauge. `beginForward` answers which of its bytes go to the twin.
// 2. Source and twin are written, side by side.
// 3. The bytes that were not forwarded are marked (R1), each piece ends: `endForward`, or
//    `failForward` where the twin was not written. If the source's write failed or was short, every
//    piece fails (R4).
// 4. The gauge is left, the copier woken if one of them said so, the guest answered.
//
// A forward whose target write hangs may be abandoned: its piece is marked, the gauge left and the
// guest answered, and the piece ends when the target answers after all. Until then the copier
// leaves it alone.

extension DirtyTable {
    /// Begins to forward a write of `range`: appends to `pieces` the longest parts of it whose
    /// granules are neither dirty nor claimed, in order, none across an edge of shards. O(words of
    /// the range) a shard, under the shard's lock.
    ///
    /// What is not in `pieces` is the copier's: the caller marks it after the source write. Bytes
    /// that another forward has under way are left out with their granules: two target writes of
    /// one byte may land in the wrong order. `RangeOrder` keeps such writes apart before they come
    /// here.
    public func beginForward(_ range: ByteRange, into pieces: inout [ByteRange]) {
        let range = range.clamped(below: Self.limit)
        let granules = granularity.granules(touching: range)
        var next = granules.lowerBound
        while next < granules.upperBound {
            let shard = granularity.shard(of: next)
            let end = min(granules.upperBound, (shard + 1) * granulesPerShard)
            beginForward(next..<end, range, shard, &pieces)
            next = end
        }
    }

    /// Ends a forward whose bytes are on the twin, or were marked when it was abandoned.
    ///
    /// - Returns: whether the copier slept and must be woken, after the gauge was left: the
    ///   granules were marked meanwhile and it had to leave them alone, or it waits for quiet.
    public func endForward(_ piece: ByteRange) -> Bool {
        let isDirty = endHold(piece)
        return isDirty ? counters.shouldWake() : counters.shouldWakeForQuiet()
    }

    /// Ends a forward whose bytes may not be on the twin: dirty before it ends (R4). The caller
    /// need not be counted in the gauge. Answers as `endForward` does.
    public func failForward(_ piece: ByteRange) -> Bool {
        markUncounted(piece)
        return endForward(piece)
    }

    private func beginForward(
        _ granules: Range<Int>, _ range: ByteRange, _ shard: Int, _ pieces: inout [ByteRange]
    ) {
        claims.withLock(ofShard: shard) { holds in
            let first = pieces.count
            var next = granules.lowerBound
            while let run = forwardable(next..<granules.upperBound, range, shard, holds) {
                pieces.append(granularity.bytes(of: run).intersection(range))
                next = run.upperBound
            }
            guard pieces.count > first else { return }
            // Counted as under way before it is counted as begun, like a claim: see `areInSync`.
            counters.addForwarded(pieces[first...].reduce(0) { $0 + Int($1.count) })
            counters.noteTake()
            for piece in pieces[first...] {
                holds.forwards.insert(piece)
                holds.touch(granularity.granules(touching: piece))
            }
        }
    }

    /// The first run of `granules` that may be forwarded. Under the shard's lock.
    private func forwardable(
        _ granules: Range<Int>, _ range: ByteRange, _ shard: Int, _ holds: Holds
    ) -> Range<Int>? {
        var first = granules.lowerBound
        while first < granules.upperBound {
            if let claim = holds.claim(of: first) {
                first = claim.upperBound
                continue
            }
            var end = min(granules.upperBound, holds.nextClaim(after: first) ?? .max)
            if let other = overlap(granules, first, range, holds) {
                if other.contains(first) {
                    first = other.upperBound
                    continue
                }
                end = min(end, other.lowerBound)
            }
            let dirty = firstDirty(first..<end, shard)
            if dirty > first { return first..<dirty }
            first = firstClean(first..<end, shard)
        }
        return nil
    }

    /// The granules in which bytes of `range` are being forwarded already, at or after granule
    /// `first`.
    private func overlap(
        _ granules: Range<Int>, _ first: Int, _ range: ByteRange, _ holds: Holds
    ) -> Range<Int>? {
        let rest = granularity.bytes(of: first..<granules.upperBound).intersection(range)
        guard let other = holds.forwards.first(endingAfter: rest.lowerBound),
            other.lowerBound < rest.upperBound
        else { return nil }
        return granularity.granules(touching: other.intersection(rest))
    }

    /// Takes a forward out of its shard's list. Answers whether a granule of it is dirty: read
    /// after it ended, so that of a marker and this caller the later one wakes the copier, who
    /// found it forwarded.
    private func endHold(_ piece: ByteRange) -> Bool {
        let granules = granularity.granules(touching: piece)
        let shard = granularity.shard(of: granules.lowerBound)
        return claims.withLock(ofShard: shard) { holds in
            guard holds.forwards.remove(piece) else {
                preconditionFailure("ended a forward that was not under way")
            }
            counters.addForwarded(-Int(piece.count))
            return firstDirty(granules, shard) < granules.upperBound
        }
    }

    /// The first dirty granule of `granules`, or their end. Under the shard's lock, which keeps the
    /// page.
    func firstDirty(_ granules: Range<Int>, _ shard: Int) -> Int {
        look(granules, shard, clean: granules.upperBound, full: granules.lowerBound) {
            $0.firstDirty(from: $1.lowerBound, below: $1.upperBound)
        }
    }

    private func firstClean(_ granules: Range<Int>, _ shard: Int) -> Int {
        look(granules, shard, clean: granules.lowerBound, full: granules.upperBound) {
            $0.firstClean(from: $1.lowerBound, below: $1.upperBound)
        }
    }

    /// Asks a shard's page, or answers for a shard that has none.
    private func look(
        _ granules: Range<Int>, _ shard: Int, clean: Int, full: Int,
        _ ask: (DirtyPage, Range<Int>) -> Int
    ) -> Int {
        guard let reference = unsafe region(shard / DirtyRegion.shards) else { return clean }
        let state = unsafe reference._withUnsafeGuaranteedRef {
            unsafe $0.state(shard % DirtyRegion.shards)
        }
        let base = shard * granulesPerShard
        switch unsafe state {
        case .clean: return clean
        case .full: return full
        case .page(let page):
            let local = granules.lowerBound - base..<granules.upperBound - base
            return base + (unsafe page._withUnsafeGuaranteedRef { ask($0, local) })
        }
    }
}
