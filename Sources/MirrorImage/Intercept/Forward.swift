import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

/// A guest's write that may go to twins beside the source (`copy-mode=write-blocking`).
///
/// 1. The write is counted in the gauge. Writes that share a byte with it come before or after it
///    as a whole (`RangeOrder`): source and twins see them in the same order.
/// 2. For each job that forwards: what of it may go to the twin (`DirtyTable.beginForward`); lanes
///    write that while this thread writes the source, both from one copy of the guest's bytes.
///    Where the one twin answers faster than a lane wakes up, this thread writes it after the
///    source, from the guest's own bytes (`Forwarder.admitsCaller`): in `then`, when somebody else
///    could answer the guest already.
/// 3. What was not forwarded is marked (R1), everything where the source's write failed or was
///    short (R4). A piece that a twin did not take is marked before it ends (R4, `ForwardMachine`).
/// 4. When source and twins are done, or a twin's write was abandoned: order and gauge are left,
///    the guest is answered. It never sees an error of a target.
///
/// Whoever is last goes on. No thread but the request's own waits for a twin.
public final class Forward: Sendable {
    private let image: Image
    private let path: DataPath
    private let change: Change
    private var range: ByteRange { change.range }

    /// What is still to be done, and who is told. Nothing is called under the lock.
    private let state: Mutex<State>

    /// What goes to one twin, and who sends it.
    private typealias TwinSide = (forwarder: Forwarder, write: TwinWrite)

    private struct State {
        /// The source's write, and each twin's.
        var pending = 1
        /// From before anything is written until all is marked.
        var begun: BegunChange?
        var outcome: Image.Outcome?
        var handler: (@Sendable (Image.Outcome) -> Void)?
        /// What the request's own thread writes to the twin.
        var own: TwinSide?
        var isDone = false
    }

    init(_ image: Image, _ change: Change, _ path: DataPath) {
        self.image = image
        self.change = change
        self.path = path
        state = Mutex(State())
    }

    /// Calls `handler` once, with what became of the write; at once where that is known. Every
    /// forward needs it, on the thread that called `write`: that thread may have the twin to write,
    /// and waits for the twin then, as long as that likes. The guest waits no longer than the job
    /// lets it: `handler` may be called meanwhile, and the guest close its file.
    ///
    /// - Parameter data: what `write` was given, still there. Nobody else reads it.
    public func then(
        _ data: UnsafeRawBufferPointer, _ handler: @escaping @Sendable (Image.Outcome) -> Void
    ) {
        let (outcome, own) = state.withLock { state -> (Image.Outcome?, TwinSide?) in
            if !state.isDone { state.handler = handler }
            return (state.isDone ? state.outcome : nil, state.own.take())
        }
        if let outcome { handler(outcome) }
        if let (forwarder, write) = own { forwarder.writeHere(write, data, at: range.lowerBound) }
    }

    /// Does the write now, or when those have ended that come before it. The caller has entered the
    /// gauge.
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
        let begun = image.begin(change)
        let sides = beginSides(begun.truncations)
        state.withLock { state in
            state.begun = begun
            state.pending += sides.count
        }
        if !(mayStay && stays(sides)), !sides.isEmpty { send(sides, kept ?? ForwardData(data)) }
        let outcome = image.writeSource(data, at: range.lowerBound, through: path)
        state.withLock { $0.outcome = outcome }
        image.mark(begun, outcome) {
            markRest(sides, isWhole: outcome.count == Int(range.count))
        }
        finishedOne()
    }

    /// Whether the calling thread writes the twin itself, in `then`. Not where several jobs
    /// forward: a twin that hangs would keep this thread from the next one, which would then be
    /// blamed.
    private func stays(_ sides: [TwinSide]) -> Bool {
        guard sides.count == 1, sides[0].forwarder.admitsCaller(sides[0].write) else {
            return false
        }
        state.withLock { $0.own = sides[0] }
        return true
    }

    private func send(_ sides: [TwinSide], _ data: ForwardData) {
        for (forwarder, write) in sides { forwarder.send(write, data, at: range.lowerBound) }
    }

    /// A write that may make the file longer goes the way of the background: the twin gets its size
    /// and what lies at its end one after the other, from the copier.
    private func beginSides(_ truncations: UInt64) -> [TwinSide] {
        var sides: [TwinSide] = []
        if image.end.mayGrow(to: range.upperBound) { return sides }
        let image = image
        image.trackers.withEach { tracker in
            guard let forwarder = tracker.forwarder, forwarder.isOn else { return }
            let write = forwarder.begin(
                range, wasTruncated: { image.end.wasTruncated(since: truncations) },
                done: { self.finishedOne() })
            if let write { sides.append((forwarder, write)) }
        }
        return sides
    }

    /// Marks all that does not go to a twin by itself; everything where the source was not written
    /// whole.
    private func markRest(_ sides: [TwinSide], isWhole: Bool) {
        image.trackers.withEach { tracker in
            let side = sides.first { $0.forwarder === tracker.forwarder }
            var needsWake = false
            if let side, isWhole {
                for gap in side.write.gaps(in: range) where tracker.table.mark(gap) {
                    needsWake = true
                }
            } else {
                needsWake = tracker.table.mark(range)
            }
            if needsWake { tracker.wake() }
        }
        for (forwarder, write) in sides { forwarder.sourceDone(write, isGood: isWhole) }
    }

    /// The source's write or a twin's is done, or a twin's was abandoned.
    private func finishedOne() {
        let isLast = state.withLock { state in
            state.pending -= 1
            return state.pending == 0
        }
        guard isLast else { return }
        for go in image.order.end(range) { go() }
        image.end(state.withLock { $0.begun! })
        let (outcome, handler) = state.withLock { state in
            state.isDone = true
            defer { state.handler = nil }
            return (state.outcome!, state.handler)
        }
        handler?(outcome)
    }
}

/// The bytes of a forwarded write: a copy of their own, since a twin that hangs may read them long
/// after the guest was answered.
package final class ForwardData: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer

    init(_ data: UnsafeRawBufferPointer) {
        memory = .allocate(byteCount: data.count, alignment: 4096)
        memory.copyMemory(from: data)
    }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
