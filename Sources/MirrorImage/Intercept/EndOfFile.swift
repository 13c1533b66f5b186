import Synchronization

/// Where an image ends, as far as the changes of the mount tell. Two estimates, each wrong only on
/// the side that costs a look and never a byte.
///
/// `known` is at most the size: a change that ends past it may have grown the file and marks the
/// size. `reach` is at least the end of what any twin may hold: the size when a job began, and the
/// end of every change that was marked since. What lies between the new size of a truncation and it
/// must be marked.
package struct EndOfFile: ~Copyable, Sendable {
    private let known = Atomic<UInt64>(0)
    private let reach = Atomic<UInt64>(0)
    /// Truncations done. A write that began before the last one must not raise `known`: what it
    /// wrote may be gone since.
    private let truncations = Atomic<UInt64>(0)
    /// Protects raising `known` and changing `truncations` together. Nothing is called under it.
    private let lock = Mutex<Void>(())

    /// Before the source is changed.
    ///
    /// - Returns: what `mayHaveGrown` wants to know afterwards.
    @inline(__always)
    package func begin() -> UInt64 { truncations.load(ordering: .sequentiallyConsistent) }

    /// Before the source is changed up to `end`: whether that may make the file longer.
    func mayGrow(to end: UInt64) -> Bool { end > known.load(ordering: .sequentiallyConsistent) }

    /// Whether the file was truncated since `begin` answered this.
    func wasTruncated(since then: UInt64) -> Bool {
        truncations.load(ordering: .sequentiallyConsistent) != then
    }

    /// After the source was changed up to `end`, and before that is marked: nothing of it can be in
    /// a twin before the mark, and a truncation that comes after the mark finds `reach` raised.
    @inline(__always)
    package func reached(_ end: UInt64) {
        if end > reach.load(ordering: .relaxed) {
            _ = reach.max(end, ordering: .sequentiallyConsistent)
        }
    }

    /// After the source was changed up to `end`: whether that may have moved the end of the file.
    /// `isCertain` is false where the change failed half way.
    @inline(__always)
    package func mayHaveGrown(to end: UInt64, since then: UInt64, isCertain: Bool) -> Bool {
        guard end > known.load(ordering: .sequentiallyConsistent) else { return false }
        if isCertain { raise(to: end, since: then) }
        return true
    }

    private func raise(to end: UInt64, since then: UInt64) {
        lock.withLock { _ in
            guard truncations.load(ordering: .sequentiallyConsistent) == then else { return }
            _ = known.max(end, ordering: .sequentiallyConsistent)
        }
    }

    /// Before the file's size is set: the end of what a truncation may remove, but for changes that
    /// begin from here on.
    var farthest: UInt64 { reach.load(ordering: .sequentiallyConsistent) }

    /// After the file's size was set, and before that is marked.
    ///
    /// - Returns: the end of what may have to be removed from a twin.
    func truncated() -> UInt64 {
        lock.withLock { _ in
            truncations.add(1, ordering: .sequentiallyConsistent)
            known.store(0, ordering: .sequentiallyConsistent)
        }
        return reach.load(ordering: .sequentiallyConsistent)
    }
}
