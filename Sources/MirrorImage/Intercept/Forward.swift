import Dispatch
package import MirrorCore
package import MirrorSystem
import Synchronization
import SystemPackage

/// A guest's write that may go to twins beside the source (`copy-mode=write-blocking`).
///
/// 1. The write is counted in the gauge. Writes that share a byte with it come before or after it as a
///    whole (`RangeOrder`): source and twins see them in the same order.
/// 2. For each job that forwards: what of it may go to the twin (`DirtyTable.beginForward`); lanes write
///    that while this thread writes the source, both from one copy of the guest's bytes. Where the one twin
///    answers faster than a lane wakes up, this thread writes it after the source, from the guest's own
///    bytes (`Forwarder.admitsCaller`): in `then`, when somebody else could answer the guest already.
/// 3. What was not forwarded is marked (R1), everything where the source's write failed or was short (R4).
///    A piece that a twin did not take is marked before it ends (R4, `ForwardPart`).
/// 4. When source and twins are done, or a twin's part was abandoned: order and gauge are left, the
///    guest is answered. It never sees an error of a target.
///
/// Whoever is last goes on. No thread but the request's own waits for a twin.
public final class Forward: Sendable {
    private let image: Image
    private let path: DataPath
    package let range: ByteRange

    /// What is still to be done, and who is told. Nothing is called under the lock.
    private let state: Mutex<State>

    private struct State {
        /// The source's write, and each job's part.
        var pending = 1
        /// Of the note for the next worker: from before anything is written until all is marked.
        var slot: Int?
        var outcome: Image.Outcome?
        var handler: (@Sendable (Image.Outcome) -> Void)?
        /// What the request's own thread writes to the twin.
        var own: ForwardPart?
        var isDone = false
    }

    package init(_ image: Image, _ range: ByteRange, _ path: DataPath) {
        self.image = image
        self.range = range
        self.path = path
        state = Mutex(State())
    }

    /// Calls `handler` once, with what became of the write; at once where that is known. Every forward needs
    /// it, on the thread that called `write`: that thread may have the twin's part to do, and waits for the
    /// twin then, as long as that likes. The guest waits no longer than the job lets it: `handler` may be
    /// called meanwhile, and the guest close its file.
    ///
    /// - Parameter data: what `write` was given, still there. Nobody else reads it.
    public func then(
        _ data: UnsafeRawBufferPointer, _ handler: @escaping @Sendable (Image.Outcome) -> Void
    ) {
        let (outcome, own) = state.withLock { state -> (Image.Outcome?, ForwardPart?) in
            if !state.isDone { state.handler = handler }
            return (state.isDone ? state.outcome : nil, state.own.take())
        }
        if let outcome { handler(outcome) }
        own?.writeHere(data, at: range.lowerBound)
    }

    /// Does the write now, or when those have ended that come before it. The caller has entered the gauge.
    ///
    /// - Parameter mayStay: whether the calling thread may wait for a twin, and calls `then`.
    package func begin(_ data: UnsafeRawBufferPointer, mayStay: Bool) {
        if image.order.begin(range) { return run(data, nil, mayStay: mayStay) }
        let kept = ForwardData(data)
        image.order.wait(range) { [self] in
            image.replay.async { self.run(kept.bytes, kept, mayStay: false) }
        }
    }

    /// - Parameter kept: what has the bytes, where the caller has not.
    private func run(_ data: UnsafeRawBufferPointer, _ kept: ForwardData?, mayStay: Bool) {
        let slot = image.trackers.beginChange(range)
        let cuts = image.end.begin()
        let parts = makeParts(cuts)
        state.withLock { state in
            state.slot = slot
            state.pending += parts.count
        }
        if !(mayStay && stays(parts)), !parts.isEmpty { send(parts, kept ?? ForwardData(data)) }
        let outcome = image.writeSource(data, at: range.lowerBound, through: path)
        state.withLock { $0.outcome = outcome }
        markRest(parts, outcome, since: cuts)
        finishedOne()
    }

    /// Whether the calling thread writes the twin itself, in `then`. Not where several jobs forward: a twin that
    /// hangs would keep this thread from the next one, which would then be blamed.
    private func stays(_ parts: [ForwardPart]) -> Bool {
        guard parts.count == 1, parts[0].staysHere({ self.finishedOne() }) else { return false }
        state.withLock { $0.own = parts[0] }
        return true
    }

    private func send(_ parts: [ForwardPart], _ data: ForwardData) {
        for part in parts { part.send(data, at: range.lowerBound) { self.finishedOne() } }
    }

    /// A write that may make the file longer goes the way of the background: the twin gets its size and what
    /// lies at its end one after the other, from the copier.
    private func makeParts(_ cuts: UInt64) -> [ForwardPart] {
        var parts: [ForwardPart] = []
        if image.end.mayGrow(to: range.upperBound) { return parts }
        let image = image
        image.trackers.withEach { tracker in
            guard let forwarder = tracker.forwarder, forwarder.isOn else { return }
            let part = forwarder.part(of: range) { image.end.wasCut(since: cuts) }
            if let part { parts.append(part) }
        }
        return parts
    }

    /// R1 and R4 for all that does not go to a twin by itself.
    private func markRest(_ parts: [ForwardPart], _ outcome: Image.Outcome, since cuts: UInt64) {
        var written: UInt64 = 0
        if case .done(let count) = outcome { written = UInt64(count) }
        let isWhole = written == range.count
        if written > 0 { image.end.reached(range.lowerBound + written) }
        image.trackers.withEach { tracker in
            let part = parts.first { $0.table === tracker.table }
            var needsWake = false
            if let part, isWhole {
                for gap in part.gaps(in: range) where tracker.table.mark(gap) { needsWake = true }
            } else {
                needsWake = tracker.table.mark(range)
            }
            if needsWake { tracker.wake() }
        }
        for part in parts { part.sourceDone(isGood: isWhole) }
        let end = isWhole || written > 0 ? range.lowerBound + written : range.upperBound
        image.markGrowth(to: end, since: cuts, isCertain: written > 0)
    }

    /// The source's write or a part is done, or a part was abandoned.
    private func finishedOne() {
        let isLast = state.withLock { state in
            state.pending -= 1
            return state.pending == 0
        }
        guard isLast else { return }
        image.trackers.endChange(state.withLock { $0.slot })
        for go in image.order.end(range) { go() }
        image.gate.leave(range)
        let (outcome, handler) = state.withLock { state in
            state.isDone = true
            defer { state.handler = nil }
            return (state.outcome!, state.handler)
        }
        handler?(outcome)
    }
}

/// The bytes of a forwarded write: a copy of their own, since a twin that hangs may read them long after the
/// guest was answered.
package final class ForwardData: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer

    init(_ data: UnsafeRawBufferPointer) {
        memory = .allocate(byteCount: data.count, alignment: 4096)
        memory.copyMemory(from: data)
    }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
