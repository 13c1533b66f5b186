import Synchronization

/// A row of 64-bit words, each changed atomically: its own, all zero at first, or a part of memory
/// that outlives it. The only raw memory of the dirty table: everything above it is safe Swift.
///
/// Sendable because nothing but atomics is reachable through it.
@safe
struct AtomicWords: ~Copyable, @unchecked Sendable {
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    /// Small, as many pages of a table lie in the processor's cache beside each other.
    private let size: Int32
    private let isOwner: Bool
    @inline(__always)
    var count: Int { Int(size) }

    init(count: Int, filledWith value: UInt64 = 0) {
        (size, isOwner) = (Int32(count), true)
        unsafe words = .allocate(capacity: count)
        for index in 0..<count { unsafe (words + index).initialize(to: Atomic(value)) }
    }

    /// Words that are there already, and stay as they are. Their memory must outlive this.
    @unsafe
    init(at start: UnsafeMutableRawPointer, count: Int) {
        (size, isOwner) = (Int32(count), false)
        unsafe words = start.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    }

    deinit {
        guard isOwner else { return }
        unsafe words.deinitialize(count: count)
        unsafe words.deallocate()
    }

    @inline(__always)
    func load(_ index: Int) -> UInt64 {
        precondition(index < count)
        return unsafe words[index].load(ordering: .sequentiallyConsistent)
    }

    @inline(__always)
    func store(_ value: UInt64, _ index: Int) {
        precondition(index < count)
        unsafe words[index].store(value, ordering: .sequentiallyConsistent)
    }

    /// Sets bits; returns the word as it was before.
    @inline(__always)
    func set(_ bits: UInt64, _ index: Int) -> UInt64 {
        precondition(index < count)
        return unsafe words[index].bitwiseOr(bits, ordering: .sequentiallyConsistent).oldValue
    }

    /// Clears bits; returns the word as it was before.
    @inline(__always)
    func clear(_ bits: UInt64, _ index: Int) -> UInt64 {
        precondition(index < count)
        return unsafe words[index].bitwiseAnd(~bits, ordering: .sequentiallyConsistent).oldValue
    }

    /// Raises the word to `value`, unless it is as high already.
    func raise(to value: UInt64, _ index: Int) {
        precondition(index < count)
        if unsafe words[index].load(ordering: .relaxed) >= value { return }
        _ = unsafe words[index].max(value, ordering: .sequentiallyConsistent)
    }

    /// Adds, wrapping.
    @inline(__always)
    func add(_ value: UInt64, _ index: Int) {
        precondition(index < count)
        unsafe words[index].wrappingAdd(value, ordering: .sequentiallyConsistent)
    }

    /// Replaces `expected` by `value`; says whether it did, and what was there.
    @inline(__always)
    func replace(_ expected: UInt64, with value: UInt64, _ index: Int) -> (Bool, UInt64) {
        precondition(index < count)
        let (done, original) = unsafe words[index].compareExchange(
            expected: expected, desired: value, ordering: .sequentiallyConsistent)
        return (done, original)
    }
}
