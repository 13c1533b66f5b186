/// The marks of a table as a successor finds them, wherever the process was killed.
///
///     header         what this is; whether it may be believed; the size's mark; how far changes
///     reached regions        a bit for each region in use: only those are ever read slots
///     changes of the source and claims that are under way (`UnderWay`) full, paged    two bits a
///     shard pages          the bits of each shard at a place of its own, up to 64 TiB
///
/// A shard is all dirty if `full` is set, else what its page says if `paged` is, else clean. Read
/// so at any instant, every granule is dirty that the table held for dirty, or was just about to:
///
/// - *Nobody's page is all zero*: where neither `full` nor `paged` is set, the words of the page
///   are zero. They are at first. A page loses `paged` only when it has no bit and nobody can set
///   one (`reclaimPage`). What `full` hides may be anything; it is overwritten before `full` goes.
/// - clean → page: `paged`, then the table's own state, then bits. In between it is a page without
///   bits: clean.
/// - clean → full: `full`, then the table's state. Whoever sees *all dirty* there finds it here
///   (R1).
/// - full → page: every word of the page, `paged`, `full` away, then the table's state. Whoever
///   relied on *all dirty* up to there is in the page; nothing is cleared before.
/// - page → clean: the table's state, `paged` away, then the page is given back, zero before and
///   after.
/// - A mark is one step on a word of the page, before the reply; so is a clear, and what is cleared
///   stands in a slot before.
///
/// All but marks and clears happen under the shard's lock. Shards past the pages are `full` while
/// they are not clean: a successor copies too much there.
final class SharedMarks: Sendable {
    enum Layout {
        static let magic: UInt64 = 0x6b74_7366_6e69_7774
        static let version: UInt64 = 1
        /// Says that the marks may be believed.
        static let settled: UInt64 = 0x5e77_1ed0_5e77_1ed0

        // Bytes from the start.
        static let regions = 4096
        static let changes = 8192
        static let claims = changes + changeSlots * UnderWay.slotBytes
        static let full = claims + claimSlots * UnderWay.slotBytes
        static let paged = full + shards / 8
        static let pages = paged + shards / 8

        static let changeSlots = 4096
        static let claimSlots = 1024
        static let shards = DirtyTable.regionCount * DirtyRegion.shards
        /// Shards with bits of their own here: 64 TiB.
        static let exactShards = 1 << 19

        static func pageBytes(_ granularity: Granularity) -> Int {
            max(8, granularity.granulesPerShard / 8)
        }

        // Words of the header, those that change on cache lines of their own.
        static let settledWord = 8
        static let lengthWord = 16
        static let unnotedWord = 24
        static let reachWord = 32
    }

    let granularity: Granularity
    private let memory: TableMemory
    let header: AtomicWords
    let full: AtomicWords
    let paged: AtomicWords
    let changes: UnderWay
    let claims: UnderWay
    private let claimNumbers = SlotNumbers(count: Layout.claimSlots)

    fileprivate init(_ memory: TableMemory, _ granularity: Granularity) {
        (self.memory, self.granularity) = (memory, granularity)
        header = memory.words(at: 0, count: 64)
        full = memory.words(at: Layout.full, count: Layout.shards / 64)
        paged = memory.words(at: Layout.paged, count: Layout.shards / 64)
        changes = UnderWay(
            memory.words(at: Layout.changes, count: Layout.changeSlots * UnderWay.slotWords))
        claims = UnderWay(
            memory.words(at: Layout.claims, count: Layout.claimSlots * UnderWay.slotWords))
    }

    /// A bit for each region, set before anything in it is.
    var regionSummary: AtomicWords {
        memory.words(at: Layout.regions, count: DirtyTable.regionCount / 64)
    }

    /// The size's mark; see `DirtyTable.Counters`.
    var length: AtomicWords { memory.words(at: Layout.lengthWord * 8, count: 1) }

    /// The bits of a shard.
    func words(of shard: Int) -> AtomicWords {
        memory.words(at: offset(of: shard), count: Layout.pageBytes(granularity) / 8)
    }

    private func offset(of shard: Int) -> Int {
        Layout.pages + shard * Layout.pageBytes(granularity)
    }
}

// The header.

extension SharedMarks {
    /// Makes a table of zeroed memory. Not to be believed before `settle`.
    convenience init(
        formatting memory: TableMemory, _ granularity: Granularity, owner: UInt64
    ) {
        self.init(memory, granularity)
        let words = Self.identity(granularity, owner)
        for index in words.indices.reversed() { header.store(words[index], index) }
    }

    /// What a predecessor has left; nil where it is something else, or may miss marks (R10).
    convenience init?(reading memory: TableMemory, owner: UInt64) {
        guard memory.count >= Layout.pages else { return nil }
        let start = memory.words(at: 0, count: 64)
        guard let granularity = Granularity(bytes: Int(truncatingIfNeeded: start.load(1))),
            Self.identity(granularity, owner).enumerated().allSatisfy({ start.load($0) == $1 }),
            memory.count >= TableMemory.size(granularity: granularity),
            start.load(Layout.settledWord) == Layout.settled,
            start.load(Layout.unnotedWord) == 0
        else { return nil }
        self.init(memory, granularity)
    }

    /// What stands first in the header: five words, the last of which follows from the others.
    private static func identity(_ granularity: Granularity, _ owner: UInt64) -> [UInt64] {
        let words = [Layout.magic, UInt64(granularity.bytes), Layout.version, owner]
        return words + [~words.reduce(0) { ($0 &* 0x9e37_79b9_7f4a_7c15) ^ $1 }]
    }

    func settle() { header.store(Layout.settled, Layout.settledWord) }

    /// The end of the farthest change so far: what began after a truncation may go with the rest.
    var reach: UInt64 { header.load(Layout.reachWord) }
}

// What is under way.

extension SharedMarks {
    /// Where no slot is free the whole table is not to be believed for as long.
    func beginChange(_ range: ByteRange, isTruncation: Bool, _ slot: Int?) {
        if !range.isEmpty { header.raise(to: range.upperBound, Layout.reachWord) }
        guard let slot else { return header.add(1, Layout.unnotedWord) }
        changes.begin(range, isTruncation: isTruncation, in: slot)
    }

    func endChange(_ slot: Int?) {
        guard let slot else { return header.add(.max, Layout.unnotedWord) }
        changes.end(slot)
    }

    /// Before the bits of `range` are cleared. Under the shard's lock.
    func beginClaim(_ range: ByteRange) -> Int? {
        let slot = claimNumbers.take(near: range.lowerBound)
        if let slot {
            claims.begin(range, isTruncation: false, in: slot)
        } else {
            header.add(1, Layout.unnotedWord)
        }
        return slot
    }

    func endClaim(_ slot: Int?) {
        guard let slot else { return header.add(.max, Layout.unnotedWord) }
        claims.end(slot)
        claimNumbers.giveBack(slot)
    }

    /// What a predecessor had under way; nil where that cannot be told.
    func underWay() -> (changes: [ByteRange], claims: [ByteRange])? {
        let changeSlots = changes.used(in: memory, at: Layout.changes)
        let claimSlots = claims.used(in: memory, at: Layout.claims)
        guard let changes = changes.ranges(in: changeSlots, reach: reach),
            let claims = claims.ranges(in: claimSlots, reach: 0)
        else { return nil }
        return (changes, claims)
    }

    /// Nothing is under way any more; nobody uses the table yet.
    func endAll() {
        for slot in changes.used(in: memory, at: Layout.changes) { changes.end(slot) }
        for slot in claims.used(in: memory, at: Layout.claims) { claims.end(slot) }
    }
}

// Shards. Under the shard's lock.

extension SharedMarks {
    private static func bit(_ shard: Int) -> UInt64 { 1 << UInt64(shard % 64) }

    func makePage(_ shard: Int, isFull: Bool) -> DirtyPage {
        guard shard < Layout.exactShards else {
            makeFull(shard)
            return DirtyPage(granules: granularity.granulesPerShard, isFull: isFull)
        }
        let page = DirtyPage(
            words(of: shard), granules: granularity.granulesPerShard, isFull: isFull)
        _ = paged.set(Self.bit(shard), shard / 64)
        if isFull { _ = full.clear(Self.bit(shard), shard / 64) }
        return page
    }

    func makeFull(_ shard: Int) { _ = full.set(Self.bit(shard), shard / 64) }

    /// The shard's page has no bit, and nobody has it.
    func makeClean(_ shard: Int) {
        _ = full.clear(Self.bit(shard), shard / 64)
        _ = paged.clear(Self.bit(shard), shard / 64)
        let bytes = Layout.pageBytes(granularity)
        guard shard < Layout.exactShards, bytes >= 4096 else { return }
        // R6: nothing but memory is waited for.
        memory.giveBack(offset(of: shard), bytes)
    }

    /// Whether any of 64 shards is not clean.
    func hasShards(inWord word: Int) -> Bool { full.load(word) | paged.load(word) != 0 }

    /// What a predecessor has left of a shard; nil for clean. Nobody uses the table yet.
    func recovered(_ shard: Int) -> RecoveredShard? {
        let bit = Self.bit(shard)
        if full.load(shard / 64) & bit != 0 {
            // Whatever its page holds is overwritten before it counts.
            _ = paged.clear(bit, shard / 64)
            return .full
        }
        guard paged.load(shard / 64) & bit != 0 else { return nil }
        guard shard < Layout.exactShards else { return .full }
        return .page(DirtyPage(recovering: words(of: shard)))
    }

    enum RecoveredShard {
        case full
        case page(DirtyPage)
    }
}
