package import MirrorCore
import MirrorSystem
package import Synchronization

/// The bits of a write-intent log in memory, as every change of an image asks for them: a load or
/// two, no lock, no retain. Memory is used only where a bit was ever set.
///
/// Three for each extent: *durable*, set on disk; *touched*, written since the last look; *recent*,
/// written between the last two looks. Set and cleared on the log's queue, but for `touched`, which
/// writers set.
///
/// `@unchecked Sendable`: nothing but atomics is reachable through it, and leaves are never freed
/// before it.
package final class IntentBits: @unchecked Sendable {
    /// Words of 64 extents in one leaf: 1 TiB of an image.
    static let leafWords = 4096
    private static let leafShift = 12
    /// Leaves up to the limit of what can be tracked.
    package static let leaves = Int(
        DirtyTable.limit >> UInt64(IntentFormat.extentShift + 6 + leafShift))

    typealias Words = UnsafeMutablePointer<Atomic<UInt64>>
    package enum Kind: Int { case durable, touched, recent }

    /// Everything is admitted: the log is void, or is not to be kept.
    package let admitsAll = Atomic<Bool>(false)
    private let roots: PageMemory
    /// Behind the last word that ever had a durable bit: nobody need look at what an image does not
    /// have.
    private let end = Atomic<Int>(0)
    private var table: UnsafeMutablePointer<Atomic<UInt>> {
        roots.bytes.baseAddress!.assumingMemoryBound(to: Atomic<UInt>.self)
    }

    package init() { roots = PageMemory(count: Self.leaves * 8) }

    deinit {
        for index in 0..<Self.leaves where table[index].load(ordering: .relaxed) != 0 {
            Unmanaged<IntentLeaf>.fromOpaque(
                UnsafeRawPointer(bitPattern: table[index].load(ordering: .relaxed))!
            ).release()
        }
    }

    /// Whether the extent's bit is durable, and notes that it is written. Sequentially consistent
    /// with what the caller did before: see `IntentLog`.
    @inline(__always)
    package func use(_ extent: Int) -> Bool {
        guard let words = leaf(extent >> 6) else { return false }
        let (index, bit) = ((extent >> 6) & (Self.leafWords - 1), UInt64(1) << UInt64(extent & 63))
        if words[index].load(ordering: .sequentiallyConsistent) & bit == 0 { return false }
        let touched = words + Self.leafWords * Kind.touched.rawValue
        if touched[index].load(ordering: .sequentiallyConsistent) & bit == 0 {
            _ = touched[index].bitwiseOr(bit, ordering: .sequentiallyConsistent)
        }
        return true
    }

    /// Whether a write of `range` may go on: its bits are durable. Notes that it is written.
    ///
    /// The caller has entered the gate. A clearer clears the bit and then looks at the gauge: of
    /// the two, at least one sees the other, as in `Gate`.
    @inline(__always)
    package func admits(_ range: ByteRange) -> Bool {
        if range.isEmpty { return true }
        let last = Int((range.upperBound - 1) >> UInt64(IntentFormat.extentShift))
        var extent = Int(range.lowerBound >> UInt64(IntentFormat.extentShift))
        repeat {
            if !use(extent) { return admitsAll.load(ordering: .acquiring) }
            extent += 1
        } while extent <= last
        return true
    }

    /// A word of 64 extents.
    package func load(_ kind: Kind, _ word: Int) -> UInt64 {
        guard let words = leaf(word) else { return 0 }
        return words[at(kind, word)].load(ordering: .sequentiallyConsistent)
    }

    /// - Returns: which of the bits were clear.
    @discardableResult
    package func set(_ kind: Kind, _ bits: UInt64, _ word: Int) -> UInt64 {
        // The last block of a log reaches past the end of what can be tracked.
        if bits == 0 || word >= Self.leaves * Self.leafWords { return 0 }
        // Before the bit (R11): whoever looks for what is intended must come as far.
        if kind == .durable { end.max(word + 1, ordering: .sequentiallyConsistent) }
        let old = leafMade(word)[at(kind, word)].bitwiseOr(
            bits, ordering: .sequentiallyConsistent)
        return bits & ~old.oldValue
    }

    package func clear(_ kind: Kind, _ bits: UInt64, _ word: Int) {
        guard let words = leaf(word) else { return }
        _ = words[at(kind, word)].bitwiseAnd(~bits, ordering: .sequentiallyConsistent)
    }

    /// Calls `body` for each word that may have a durable bit, in order.
    package func forEachWord(_ body: (Int) -> Void) {
        let end = end.load(ordering: .sequentiallyConsistent)
        for start in stride(from: 0, to: end, by: Self.leafWords) where leaf(start) != nil {
            for word in start..<min(end, start + Self.leafWords)
            where load(.durable, word) != 0 { body(word) }
        }
    }

    @inline(__always)
    private func at(_ kind: Kind, _ word: Int) -> Int {
        kind.rawValue * Self.leafWords + (word & (Self.leafWords - 1))
    }

    @inline(__always)
    private func leaf(_ word: Int) -> Words? {
        let index = word >> Self.leafShift
        guard index < Self.leaves else { return nil }
        let address = table[index].load(ordering: .acquiring)
        guard let raw = UnsafeRawPointer(bitPattern: address) else { return nil }
        return Unmanaged<IntentLeaf>.fromOpaque(raw)._withUnsafeGuaranteedRef { $0.words }
    }

    /// Of two threads that make it, one wins.
    private func leafMade(_ word: Int) -> Words {
        if let words = leaf(word) { return words }
        let new = Unmanaged.passRetained(IntentLeaf())
        let address = UInt(bitPattern: new.toOpaque())
        let isMine = table[word >> Self.leafShift].compareExchange(
            expected: 0, desired: address, ordering: .acquiringAndReleasing
        ).exchanged
        if !isMine { new.release() }
        return leaf(word)!
    }
}

/// Three rows of words, zero at first.
private final class IntentLeaf {
    private let memory = PageMemory(count: IntentBits.leafWords * 3 * 8)
    let words: IntentBits.Words

    init() {
        words = memory.bytes.baseAddress!.assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
