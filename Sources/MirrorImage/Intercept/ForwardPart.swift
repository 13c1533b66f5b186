import MirrorCore
import MirrorSystem
import Synchronization

/// What of one guest write goes to one twin.
///
/// Its pieces stay under way until both the source and the twin are written. Ended after the twin alone,
/// a granule that another write has marked could be copied before this write is in the source, over what
/// the twin has already; ended with a mark before the source is written, the mark could be taken too early.
package final class ForwardPart: Sendable {
    let pieces: [ByteRange]
    /// When the guest began to wait for the twin, by `Stopwatch`; what stays with the request's thread is
    /// begun once the source is written.
    private let begun = Atomic<Int>(.max)
    private let forwarder: Forwarder
    private let wasCut: @Sendable () -> Bool
    var table: DirtyTable { forwarder.table }

    /// Nothing is called under the lock.
    private let state = Mutex(State())

    private struct State {
        enum Side { case pending, good, failed }
        var source = Side.pending
        var target = Side.pending
        /// The guest waits no longer for the twin.
        var isAbandoned = false
        /// Called once: when the guest need not wait any more.
        var done: (@Sendable () -> Void)?

        var isFinished: Bool { source != .pending && target != .pending }
        var isGood: Bool { source == .good && target == .good && !isAbandoned }
    }

    init(
        _ forwarder: Forwarder, _ pieces: [ByteRange], wasCut: @escaping @Sendable () -> Bool
    ) {
        (self.forwarder, self.pieces, self.wasCut) = (forwarder, pieces, wasCut)
    }

    var byteCount: Int { pieces.reduce(0) { $0 + Int($1.count) } }

    /// `done` is called once: when source and twin are written, or the twin has failed or is not waited
    /// for any more; what is not on the twin is marked by then.
    func send(_ data: ForwardData, at offset: UInt64, done: @escaping @Sendable () -> Void) {
        state.withLock { $0.done = done }
        begun.store(Stopwatch.nanoseconds, ordering: .relaxed)
        forwarder.send(self, data, at: offset)
    }

    /// Whether the calling thread is to write the part itself, by `writeHere` once the source is written. Where
    /// it is, `done` is called as after `send`.
    func staysHere(_ done: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { $0.done = done }
        return forwarder.admitsCaller(self)
    }

    /// After `staysHere`, on the same thread. Waits for the twin, and not where nobody waits for the part: then
    /// its pieces are marked.
    func writeHere(_ data: UnsafeRawBufferPointer, at offset: UInt64) {
        begun.store(Stopwatch.nanoseconds, ordering: .relaxed)
        let isWanted = state.withLock { !$0.isAbandoned }
        forwarder.writeHere(self, isWanted ? data : nil, at: offset)
    }

    /// Whether the guest has waited for the twin since before `instant`.
    package func hasWaited(since instant: Int) -> Bool { begun.load(ordering: .relaxed) < instant }

    /// The source's write has ended; `isGood`: all of it was written.
    func sourceDone(isGood: Bool) {
        let (isFinished, isAbandoned) = state.withLock { state in
            state.source = isGood ? .good : .failed
            return (state.isFinished, state.isAbandoned)
        }
        if isFinished { return finish() }
        if isAbandoned { letGo() }
    }

    func targetDone(isGood: Bool) {
        let isFinished = state.withLock { state in
            state.target = isGood ? .good : .failed
            return state.isFinished
        }
        if isFinished { finish() }
    }

    /// The guest waits no longer. The pieces are marked once the source is written, and stay under way until
    /// the twin answers: the copier must not come in between. False where the twin has answered.
    func abandon() -> Bool {
        let (isNews, isWritten) = state.withLock { state in
            guard state.target == .pending, !state.isAbandoned else { return (false, false) }
            state.isAbandoned = true
            return (true, state.source != .pending)
        }
        if isNews, isWritten { letGo() }
        return isNews
    }

    /// The source is written and the twin hangs.
    private func letGo() {
        for piece in pieces { table.markUncounted(piece) }
        tellDone()
    }

    /// R4: what may not be on the twin is marked before its forward ends. So is the size, where the twin may
    /// have been cut in between and made longer again by this write.
    private func finish() {
        let isGood = state.withLock { $0.isGood } && !wasCut()
        var needsWake = false
        if !isGood, table.markLength() { needsWake = true }
        for piece in pieces where isGood ? table.endForward(piece) : table.failForward(piece) {
            needsWake = true
        }
        if needsWake { forwarder.wake() }
        tellDone()
    }

    private func tellDone() { state.withLock { $0.done.take() }?() }

    /// The parts of `range` that are not in this one.
    func gaps(in range: ByteRange) -> [ByteRange] {
        var gaps: [ByteRange] = []
        var next = range.lowerBound
        for piece in pieces {
            if piece.lowerBound > next { gaps.append(ByteRange(next, piece.lowerBound)) }
            next = piece.upperBound
        }
        if next < range.upperBound { gaps.append(ByteRange(next, range.upperBound)) }
        return gaps
    }
}
