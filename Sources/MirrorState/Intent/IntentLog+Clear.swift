import Dispatch
package import MirrorCore
import MirrorImage
import Synchronization
import SystemPackage

// Lazy clearing. A pass (docs/invariants.md, R11):
//
// 1. `age`, every few seconds: `touched` becomes `recent`. What was written since two looks stays
//    set.
// 2. `candidates`: set, not touched, not recent; no change under way near it; then, clean,
//    unclaimed and unforwarded in the job's table. All that is in source and twin now was written
//    before step 3 begins.
// 3. The caller makes the twin durable, and the source.
// 4. `clear`: the bit in memory is cleared; then, if no change is under way near it, and the extent
//    is still clean and was not touched, it is cleared on disk as well; else it is set again.
//
// A writer enters the gauge, reads the bit, then sets `touched` where it is clear. It may find a
// `touched` that step 1 is about to clear: then the gauge in step 2 shows it, or it has left and
// its marks are seen.

extension IntentLog {
    /// Extents by words of 64.
    package typealias Candidates = [(word: Int, mask: UInt64)]

    /// Step 1. By one thread at a time, as `candidates`.
    package func age() {
        bits.forEachWord { word in
            let touched = bits.load(.touched, word)
            bits.clear(.recent, ~touched, word)
            bits.set(.recent, touched, word)
            bits.clear(.touched, touched, word)
        }
    }

    /// Step 2. O(words with set bits), and a look at the table for each shard of them.
    package func candidates(_ table: DirtyTable, _ gauge: WriteGauge) -> Candidates {
        var result: Candidates = []
        if bits.admitsAll.load(ordering: .acquiring), isVoid { return result }
        bits.forEachWord { word in
            let set = bits.load(.durable, word)
            let old = set & ~bits.load(.touched, word) & ~bits.load(.recent, word)
            if old == 0 { return }
            let settled = Self.settled(old, word, table, gauge)
            if settled != 0 { result.append((word, settled)) }
        }
        return result
    }

    /// Step 4, after step 3 went well. `isValid` is asked on `queue`: whether the table still
    /// counts.
    package func clear(
        _ candidates: Candidates, _ table: DirtyTable, _ gauge: WriteGauge,
        then done: @escaping @Sendable () -> Void = {}
    ) {
        queue.async { [self] in
            if !isVoid, !isClosed { clearNow(candidates, table, gauge) }
            done()
        }
    }

    private func clearNow(_ candidates: Candidates, _ table: DirtyTable, _ gauge: WriteGauge) {
        var changed: Set<Int> = []
        for (word, mask) in candidates {
            // What is not set any more is not for us to set.
            let mask = mask & bits.load(.durable, word)
            bits.clear(.durable, mask, word)
            let settled = Self.settled(mask, word, table, gauge)
            let good = settled & ~bits.load(.touched, word)
            bits.set(.durable, mask & ~good, word)
            if good == 0 { continue }
            setCount.subtract(good.nonzeroBitCount, ordering: .relaxed)
            changed.insert(word / IntentFormat.wordsPerBlock)
        }
        // Whether the disk takes a clear is of no interest: a set that follows is written after it.
        for number in changed.sorted() { try? write(number) }
    }

    /// Which of 64 extents nothing is under way in and nothing is left to copy in. The gauge first:
    /// a change that has left it is marked.
    private static func settled(
        _ mask: UInt64, _ word: Int, _ table: DirtyTable, _ gauge: WriteGauge
    ) -> UInt64 {
        var result: UInt64 = 0
        let shift = UInt64(IntentFormat.extentShift)
        // A word is 256 MiB: two stripes of the gauge.
        for half in 0..<2 where (mask >> UInt64(half * 32)) & 0xffff_ffff != 0 {
            let start = (UInt64(word * 64) + UInt64(half * 32)) << shift
            guard gauge.isIdle(at: start) else { continue }
            let parts = table.settledParts(at: start, partShift: shift, count: 32)
            result |= mask & (parts << UInt64(half * 32))
        }
        return result
    }
}
