import Synchronization

/// Puts writes that share a byte in order, first come first served, and lets all others pass.
///
/// begin   registers the range where neither a range under way nor one that waits is in its way
/// wait    queues it behind those in its way; its turn comes when the last of them has ended
/// end     takes the range out; those for whom it was the last in the way are under way from now on
///
/// What is in the way of a waiter is counted once, when it comes, and only earlier ranges are:
/// whoever comes later and overlaps it waits for it. So nobody is overtaken, and no circle of
/// waiters is possible. A waiter's turn is never lost: each range counted in its way is under way
/// or waits, and is counted off exactly once, by its own `end`, which no later range can come
/// before. `end` puts a waiter under way under the same lock under which it counts the last one
/// off, and hands its continuation out once.
///
/// Ranges under way never overlap, so they are looked up in O(log n); waiters are looked through.
public final class RangeOrder: Sendable {
    /// What a waiter does when its turn has come.
    public typealias Continuation = @Sendable () -> Void

    private struct Waiter {
        let range: ByteRange
        /// Earlier ranges, under way or waiting, that overlap and have not ended.
        var inTheWay: Int
        let go: Continuation
    }

    private struct State {
        var underWay = DisjointRanges()
        /// In the order in which they came.
        var waiters: [Waiter] = []

        func obstacles(_ range: ByteRange) -> Int {
            underWay.overlapCount(range) + waiters.count { $0.range.overlaps(range) }
        }
    }

    /// Protects who is under way and who waits. Nothing is called under it, and no other lock is
    /// taken.
    private let state = Mutex(State())

    public init() {}

    /// Registers `range` as under way, unless it shares a byte with one that is, or that waits.
    /// After true the caller calls `end` when it is done, after false `wait`. An empty range always
    /// passes.
    public func begin(_ range: ByteRange) -> Bool {
        if range.isEmpty { return true }
        return state.withLock { state in
            guard state.obstacles(range) == 0 else { return false }
            state.underWay.insert(range)
            return true
        }
    }

    /// Calls `turn` when the turn of `range` has come: it is under way then, as if `begin` had
    /// answered true, so `turn` does not call `begin`, and sees to it that `end` is called. At once
    /// where nothing is in the way any more, else whoever ends the last range in the way gets
    /// `turn` to call.
    public func wait(_ range: ByteRange, turn: @escaping Continuation) {
        let mustWait = state.withLock { state in
            let obstacles = state.obstacles(range)
            if obstacles > 0 {
                state.waiters.append(Waiter(range: range, inTheWay: obstacles, go: turn))
            } else if !range.isEmpty {
                state.underWay.insert(range)
            }
            return obstacles > 0
        }
        if !mustWait { turn() }
    }

    /// Ends `range`. Returns the waiters whose turn has come, in the order in which they came; the
    /// caller calls each, holding no lock. One that writes and ends on the spot may return the
    /// next: a caller whose waiters do so hands them to a queue instead of going deeper with each.
    public func end(_ range: ByteRange) -> [Continuation] {
        if range.isEmpty { return [] }
        return state.withLock { state in
            guard state.underWay.remove(range) else {
                preconditionFailure("ended a range that was not under way")
            }
            if state.waiters.isEmpty { return [] }
            for index in state.waiters.indices where state.waiters[index].range.overlaps(range) {
                state.waiters[index].inTheWay -= 1
            }
            let ready = state.waiters.filter { $0.inTheWay == 0 }
            if ready.isEmpty { return [] }
            state.waiters.removeAll { $0.inTheWay == 0 }
            for waiter in ready { state.underWay.insert(waiter.range) }
            return ready.map(\.go)
        }
    }

    /// How many wait.
    var waiterCount: Int { state.withLock { $0.waiters.count } }
}
