import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

/// A guest's write that may go to twins beside the source (`copy-mode=write-blocking`).
///
/// 1. The write is counted in the gauge. Writes that share a byte with it come before or after it as a
///    whole (`RangeOrder`): source and twins see them in the same order.
/// 2. For each job that forwards: what of it may go to the twin (`DirtyTable.beginForward`); lanes write
///    that while this thread writes the source, both from one copy of the guest's bytes.
/// 3. What was not forwarded is marked (R1), everything where the source's write failed or was short (R4).
///    A piece that a twin did not take is marked before it ends (R4, `ForwardPart`).
/// 4. When source and twins are done, or a twin's part was abandoned: order and gauge are left, the
///    guest is answered. It never sees an error of a target.
///
/// Nothing waits on a thread: whoever is last goes on.
public final class Forward: Sendable {
    private let image: Image
    private let path: DataPath
    let range: ByteRange
    private let data: ForwardData

    /// What is still to be done, and who is told. Nothing is called under the lock.
    private let state: Mutex<State>

    private struct State {
        /// The source's write, and each job's part.
        var pending = 1
        /// Of the note for the next worker: from before anything is written until all is marked.
        var slot: Int?
        var outcome: Image.Outcome?
        var handler: (@Sendable (Image.Outcome) -> Void)?
        var isDone = false
    }

    init(
        _ image: Image, _ data: UnsafeRawBufferPointer, _ range: ByteRange,
        _ path: DataPath
    ) {
        self.image = image
        self.range = range
        self.path = path
        self.data = ForwardData(data)
        state = Mutex(State())
    }

    /// Calls `handler` once, with what became of the write; at once where that is known.
    public func then(_ handler: @escaping @Sendable (Image.Outcome) -> Void) {
        let outcome = state.withLock { state -> Image.Outcome? in
            if state.isDone { return state.outcome }
            state.handler = handler
            return nil
        }
        if let outcome { handler(outcome) }
    }

    /// Does the write now, or when those have ended that come before it. The caller has entered the gauge.
    func begin() {
        if image.order.begin(range) { return run() }
        image.order.wait(range) { [self] in image.replay.async { self.run() } }
    }

    private func run() {
        let slot = image.trackers.beginChange(range)
        let cuts = image.end.begin()
        let parts = makeParts(cuts)
        state.withLock { state in
            state.slot = slot
            state.pending += parts.count
        }
        for part in parts { part.send(data, at: range.lowerBound) { self.finishedOne() } }
        let outcome = image.writeSource(
            data.bytes, at: range.lowerBound, through: path)
        state.withLock { $0.outcome = outcome }
        markRest(parts, outcome, since: cuts)
        finishedOne()
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
final class ForwardData: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer

    init(_ data: UnsafeRawBufferPointer) {
        memory = .allocate(byteCount: data.count, alignment: 4096)
        memory.copyMemory(from: data)
    }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
