/// What is under way and not yet marked, or not any more: a row of slots, each for one range.
///
/// A slot is two words, start and end, the end with two flags. It counts while the end is not zero,
/// and the start is written before: at any instant it is empty or whole. Who may use which slot is
/// not written here (`SlotNumbers`): a successor finds nobody at work.
struct UnderWay: ~Copyable, Sendable {
    static let slotWords = 2
    static let slotBytes = slotWords * 8

    private static let isThere: UInt64 = 1 << 63
    private static let isTruncation: UInt64 = 1 << 62

    private let words: AtomicWords

    init(_ words: consuming AtomicWords) { self.words = words }

    /// - Parameter isTruncation: whether all that follows may change too, as far as changes ever
    ///   reached.
    @inline(__always)
    func begin(_ range: ByteRange, isTruncation: Bool, in slot: Int) {
        let range = range.clamped(below: DirtyTable.limit)
        words.store(range.lowerBound, slot * 2)
        let flags = isTruncation ? Self.isThere | Self.isTruncation : Self.isThere
        words.store(range.upperBound | flags, slot * 2 + 1)
    }

    @inline(__always)
    func end(_ slot: Int) { words.store(0, slot * 2 + 1) }

    /// What was under way in these slots, a truncation up to `reach`; nil where one holds no range.
    func ranges(in used: [Int], reach: UInt64) -> [ByteRange]? {
        var ranges: [ByteRange] = []
        for slot in used {
            let last = words.load(slot * 2 + 1)
            let lower = words.load(slot * 2)
            var upper = last & ~(Self.isThere | Self.isTruncation)
            if last & Self.isTruncation != 0 { upper = max(lower, upper, reach) }
            guard last & Self.isThere != 0, lower <= upper else { return nil }
            ranges.append(ByteRange(lower, upper))
        }
        return ranges
    }

    /// The slots that count (R10: all that may hold a range). Pages that nobody ever touched are
    /// not looked at.
    ///
    /// - Parameter offset: where the row begins in `memory`; at a page.
    func used(in memory: TableMemory, at offset: Int) -> [Int] {
        let (count, pageSlots) = (words.count / 2, 4096 / Self.slotBytes)
        var (used, page) = ([Int](), 0)
        while let touched = memory.nextTouched(offset + page * 4096) {
            page = (touched - offset) / 4096
            let slots = page * pageSlots..<(page + 1) * pageSlots
            if slots.lowerBound >= count { break }
            used += slots.clamped(to: 0..<count).filter { words.load($0 * 2 + 1) != 0 }
            page += 1
        }
        return used
    }
}

/// Which slots are in use. Any thread; lock-free.
public final class SlotNumbers: Sendable {
    /// Words from one to the next: a cache line, so that writers of different places do not meet.
    private static let spacing = 8
    private let used: AtomicWords
    private let count: Int

    /// - Parameter count: a multiple of 64.
    public init(count: Int) {
        self.count = count
        used = AtomicWords(count: count / 64 * Self.spacing)
    }

    /// For changes of an image, in the tables that track it.
    public convenience init() { self.init(count: SharedMarks.Layout.changeSlots) }

    /// A free one, nobody else's from here on; nil where none is.
    ///
    /// - Parameter place: where to look first; best different for each thread.
    public func take(near place: UInt64) -> Int? {
        let words = count / 64
        let first = Int(truncatingIfNeeded: (place &* 0x9e37_79b9_7f4a_7c15) >> 40) % words
        for step in 0..<words {
            let word = (first + step) % words
            if let bit = takeBit(word * Self.spacing) { return word * 64 + bit }
        }
        return nil
    }

    public func giveBack(_ number: Int) {
        _ = used.clear(1 << UInt64(number % 64), number / 64 * Self.spacing)
    }

    private func takeBit(_ word: Int) -> Int? {
        while true {
            let free = ~used.load(word)
            if free == 0 { return nil }
            let bit = free.trailingZeroBitCount
            if used.set(1 << UInt64(bit), word) & (1 << UInt64(bit)) == 0 { return bit }
        }
    }
}
