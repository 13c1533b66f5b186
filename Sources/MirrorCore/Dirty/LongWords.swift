import Synchronization

/// A row of atomic words as long as the largest image needs, of which memory has the first few only
/// until one of the others is changed: most images are small, and a mount may have thousands of
/// tables.
///
/// With 512 of 4096 words near, word 511 is one load away, and word 512 two; while no word from 512
/// on was ever changed all of them read as 0 and take no memory.
@safe
struct LongWords: ~Copyable, Sendable {
    private let near: AtomicWords
    /// The others: an unmanaged reference, 0 until there are any. Never freed before the row.
    private let rest = Atomic<UInt64>(0)
    private let count: Int

    init(count: Int, near: Int) {
        self.near = AtomicWords(count: near)
        self.count = count
    }

    deinit { unsafe others?.release() }

    @inline(__always)
    func load(_ index: Int) -> UInt64 {
        index < near.count ? near.load(index) : loadOther(index - near.count)
    }

    @inline(__always)
    func store(_ value: UInt64, _ index: Int) {
        if index < near.count { return near.store(value, index) }
        unsafe othersMade()._withUnsafeGuaranteedRef { $0.words.store(value, index - near.count) }
    }

    /// Replaces `expected` by `value`; says whether it did, and what was there.
    @inline(__always)
    func replace(_ expected: UInt64, with value: UInt64, _ index: Int) -> (Bool, UInt64) {
        if index < near.count { return near.replace(expected, with: value, index) }
        return unsafe othersMade()._withUnsafeGuaranteedRef {
            $0.words.replace(expected, with: value, index - near.count)
        }
    }

    /// How far words may be other than 0.
    var used: Int { unsafe others == nil ? near.count : count }
}

extension LongWords {
    private final class Others: Sendable {
        let words: AtomicWords
        init(count: Int) { words = AtomicWords(count: count) }
    }

    private var others: Unmanaged<Others>? {
        let word = rest.load(ordering: .sequentiallyConsistent)
        guard let raw = unsafe UnsafeRawPointer(bitPattern: UInt(word)) else { return nil }
        return unsafe .fromOpaque(raw)
    }

    private func loadOther(_ index: Int) -> UInt64 {
        guard let others = unsafe others else { return 0 }
        return unsafe others._withUnsafeGuaranteedRef { $0.words.load(index) }
    }

    /// Of two threads that make them, one wins.
    private func othersMade() -> Unmanaged<Others> {
        if let others = unsafe others { return unsafe others }
        let new = unsafe Unmanaged.passRetained(Others(count: count - near.count))
        let word = UInt64(UInt(bitPattern: unsafe new.toOpaque()))
        let isMine = rest.compareExchange(
            expected: 0, desired: word, ordering: .sequentiallyConsistent
        ).exchanged
        if !isMine { unsafe new.release() }
        return unsafe others!
    }
}
