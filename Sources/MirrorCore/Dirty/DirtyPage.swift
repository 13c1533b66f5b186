/// The bits of one shard that is neither clean nor all dirty: one bit a granule, and a summary with
/// one bit for each word of them.
///
/// With 4 KiB granules a shard has 32,768 granules: 512 words (4 KiB) and 8 summary words. Granule
/// 70 is bit 6 of word 1, and word 1 is bit 1 of summary word 0.
///
/// A set bit may stand under a clear summary only while the marker that set it first is still under
/// way (it counts in the `WriteGauge`); a clear word may stand under a set summary for ever, and
/// costs a look.
final class DirtyPage: Sendable {
    private let bits: AtomicWords
    private let summary: AtomicWords

    /// - Parameter isFull: whether every granule starts dirty.
    init(granules: Int, isFull: Bool) {
        bits = AtomicWords(
            count: (granules + 63) / 64, filledWith: isFull ? Self.ones(granules) : 0)
        summary = Self.summary(of: bits.count, isFull: isFull)
    }

    /// A page over words that outlive it: they are all zero, or are to be filled.
    init(_ words: consuming AtomicWords, granules: Int, isFull: Bool) {
        if isFull {
            for word in 0..<words.count { words.store(Self.ones(granules), word) }
        }
        summary = Self.summary(of: words.count, isFull: isFull)
        bits = words
    }

    /// The page over words that a predecessor has left.
    init(recovering words: consuming AtomicWords) {
        summary = AtomicWords(count: (words.count + 63) / 64)
        for word in 0..<words.count where words.load(word) != 0 {
            _ = summary.set(1 << UInt64(word % 64), word / 64)
        }
        bits = words
    }

    /// Sets the bits of `granules`, children before summary.
    ///
    /// - Returns: how many were clear before, and whether the summary changed from all clear in one
    ///   of its words, so that the level above has to be told.
    func set(_ granules: Range<Int>) -> (added: Int, isFirst: Bool) {
        var added = 0
        var isFirst = false
        for word in (granules.lowerBound / 64)...((granules.upperBound - 1) / 64) {
            let mask = Self.mask(of: word, within: granules)
            let old = bits.set(mask, word)
            added += (mask & ~old).nonzeroBitCount
            guard old == 0 else { continue }
            if summary.set(1 << UInt64(word % 64), word / 64) == 0 { isFirst = true }
        }
        return (added, isFirst)
    }

    /// Clears the bits of `granules`, summary before children. Under the shard's lock.
    ///
    /// - Returns: how many were set.
    func clear(_ granules: Range<Int>) -> Int {
        var removed = 0
        for word in (granules.lowerBound / 64)...((granules.upperBound - 1) / 64) {
            let mask = Self.mask(of: word, within: granules)
            _ = summary.clear(1 << UInt64(word % 64), word / 64)
            let old = bits.clear(mask, word)
            removed += (mask & old).nonzeroBitCount
            if old & ~mask != 0 { _ = summary.set(1 << UInt64(word % 64), word / 64) }
        }
        return removed
    }

    /// The first dirty granule at or after `granule`. Under the shard's lock; O(summary words).
    func firstDirty(from granule: Int) -> Int? {
        var word = granule / 64
        guard word < bits.count else { return nil }
        let rest = bits.load(word) & (.max << UInt64(granule % 64))
        if rest != 0 { return word * 64 + rest.trailingZeroBitCount }
        word += 1
        while let candidate = firstMarkedWord(from: word) {
            let value = bits.load(candidate)
            if value != 0 { return candidate * 64 + value.trailingZeroBitCount }
            forgetEmpty(candidate)
            word = candidate + 1
        }
        return nil
    }

    /// The first dirty granule at or after `granule` and below `limit`, or `limit`; summaries
    /// aside.
    func firstDirty(from granule: Int, below limit: Int) -> Int {
        first(from: granule, below: limit) { $0 }
    }

    /// The first clean granule at or after `granule` and below `limit`, or `limit`.
    func firstClean(from granule: Int, below limit: Int) -> Int {
        first(from: granule, below: limit) { ~$0 }
    }

    /// The first granule whose bit is set in what `view` makes of its word.
    @inline(__always)
    private func first(from granule: Int, below limit: Int, _ view: (UInt64) -> UInt64) -> Int {
        var granule = granule
        while granule < limit {
            let seen = view(bits.load(granule / 64)) & (.max << UInt64(granule % 64))
            if seen != 0 { return min(limit, granule / 64 * 64 + seen.trailingZeroBitCount) }
            granule = (granule / 64 + 1) * 64
        }
        return limit
    }

    /// Whether no summary bit is set: nothing a finished marker marked is left.
    var isEmpty: Bool {
        for index in 0..<summary.count where summary.load(index) != 0 { return false }
        return true
    }

    /// Dirty granules. O(words).
    var count: Int {
        (0..<bits.count).reduce(0) { $0 + bits.load($1).nonzeroBitCount }
    }

    /// Whether no granule is dirty, summaries aside. O(words).
    var hasNoBits: Bool {
        for index in 0..<bits.count where bits.load(index) != 0 { return false }
        return true
    }

    private func firstMarkedWord(from word: Int) -> Int? {
        var word = word
        while word < bits.count {
            let marked = summary.load(word / 64) & (.max << UInt64(word % 64))
            if marked != 0 { return word / 64 * 64 + marked.trailingZeroBitCount }
            word = (word / 64 + 1) * 64
        }
        return nil
    }

    /// Takes the summary bit of a word found clear, unless it was marked meanwhile.
    private func forgetEmpty(_ word: Int) {
        _ = summary.clear(1 << UInt64(word % 64), word / 64)
        if bits.load(word) != 0 { _ = summary.set(1 << UInt64(word % 64), word / 64) }
    }

    /// The first `count` bits of a word.
    private static func ones(_ count: Int) -> UInt64 {
        count < 64 ? (UInt64(1) << UInt64(count)) - 1 : .max
    }

    private static func summary(of words: Int, isFull: Bool) -> AtomicWords {
        AtomicWords(count: (words + 63) / 64, filledWith: isFull ? ones(words) : 0)
    }

    /// The bits of `granules` that lie in `word`. Granules 60..<70 are bits 60–63 of word 0 and 0–5
    /// of word 1.
    private static func mask(of word: Int, within granules: Range<Int>) -> UInt64 {
        let low = max(granules.lowerBound - word * 64, 0)
        let high = min(granules.upperBound - word * 64, 64)
        let below: UInt64 = high == 64 ? .max : (1 << UInt64(high)) - 1
        return below & (.max << UInt64(low))
    }
}
