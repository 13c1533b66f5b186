import Synchronization

/// Where a request thread is in its loop: whether it may hold a request that the journal does not
/// know. Written by its thread alone.
final class Round: Sendable {
    /// Even from before a request is received until the journal knows it, odd from then on.
    private let count = Atomic<UInt64>(0)

    /// The thread is about to receive a request.
    @inline(__always)
    func next() {
        count.store((count.load(ordering: .relaxed) | 1) &+ 1, ordering: .releasing)
    }

    /// The journal knows the request, or need not know it.
    @inline(__always)
    func isJournalled() {
        count.store(count.load(ordering: .relaxed) | 1, ordering: .releasing)
    }

    var now: UInt64 { count.load(ordering: .relaxed) }

    /// What to ask `hasPassed` with; nil where the thread holds nothing that the journal does not
    /// know.
    var open: UInt64? {
        let now = count.load(ordering: .acquiring)
        return now & 1 == 0 ? now : nil
    }

    /// Whether the journal knows what the thread received in the round `old`.
    func hasPassed(_ old: UInt64) -> Bool { count.load(ordering: .acquiring) != old }
}
