import Dispatch
package import MirrorCore
import MirrorSystem
import Synchronization
package import SystemPackage

/// Sends guest writes to the twin of one member of a job.
///
/// On and off at any time: a write that began before the change goes on as it began. A background
/// write beside a forwarded one of the same bytes marks after its source write, so the copier has
/// the last word.
package final class Forwarder: Sendable {
    package let table: DirtyTable
    private let unflushed: DirtyTable
    private let twin: any ForwardTarget
    private let flushFailures: @Sendable () -> Int
    /// Tells the job that the twin did not take these bytes.
    private let failed: @Sendable (ByteRange, Errno) -> Void
    /// Tells the job's queue to look.
    package let wake: @Sendable () -> Void

    /// For request threads that write to the twin themselves, of all jobs of the mount.
    private let permits: Permits
    private let speed: TwinSpeed

    private let on = Atomic<Bool>(false)
    private let closed = Atomic<Bool>(false)
    private let bytes = Atomic<Int>(0)
    /// The job looks again once `bytes` has come so far.
    private let alarm = Atomic<Int>(.max)
    private let label: String
    private let state = Mutex(State())

    fileprivate struct State {
        /// Made when they are first needed.
        var lanes: [DispatchQueue] = []
        var nextLane = 0
        /// Writes that have not left the twin, abandoned ones among them.
        var underWay: [ObjectIdentifier: TwinWrite] = [:]
    }

    package init(
        table: DirtyTable, unflushed: DirtyTable, twin: any ForwardTarget, label: String,
        permits: Permits,
        flushFailures: @escaping @Sendable () -> Int,
        failed: @escaping @Sendable (ByteRange, Errno) -> Void,
        wake: @escaping @Sendable () -> Void
    ) {
        (self.table, self.unflushed, self.twin) = (table, unflushed, twin)
        (self.flushFailures, self.failed, self.wake) = (flushFailures, failed, wake)
        self.label = label
        self.permits = permits
        speed = TwinSpeed()
    }

    package var isOn: Bool { on.load(ordering: .sequentiallyConsistent) }
    package func turn(on isOn: Bool) { on.store(isOn, ordering: .sequentiallyConsistent) }

    /// The job is over: nothing is sent any more, and no guest waits for what was sent.
    package func close() {
        turn(on: false)
        closed.store(true, ordering: .sequentiallyConsistent)
        abandon { _ in true }
    }

    /// Bytes that went to the twin this way so far.
    package var forwardedBytes: Int { bytes.load(ordering: .relaxed) }

    /// Wakes the job once so many more bytes have gone to the twin.
    package func wake(after more: Int) {
        let (at, isOver) = forwardedBytes.addingReportingOverflow(more)
        alarm.store(isOver ? .max : at, ordering: .relaxed)
    }

    /// Whether no lane uses the twin.
    package var isIdle: Bool { state.withLock { $0.underWay.isEmpty } }

    /// The part of a guest's write that goes to the twin, counted as under way; nil where nothing
    /// does. The caller goes on with `send` or `admitsCaller`, and tells `sourceDone`.
    ///
    /// - Parameters:
    ///   - wasTruncated: whether the image was truncated since the write began.
    ///   - done: called once: when source and twin are written, or the twin has failed or is not
    ///     waited for any more. What is not on the twin is marked by then.
    func begin(
        _ range: ByteRange, wasTruncated: @escaping @Sendable () -> Bool,
        done: @escaping @Sendable () -> Void
    ) -> TwinWrite? {
        var pieces: [ByteRange] = []
        table.beginForward(range, into: &pieces)
        if pieces.isEmpty { return nil }
        return TwinWrite(pieces, wasTruncated: wasTruncated, done: done)
    }

    /// A lane writes it to the twin.
    func send(_ write: TwinWrite, _ data: ForwardData, at offset: UInt64) {
        write.beginWait()
        let lane = state.withLock { state in
            state.underWay[ObjectIdentifier(write)] = write
            return state.lane(label)
        }
        lane.async { [self] in carryOut(write, data.bytes, at: offset) }
        sawWrite(write)
    }

    /// Of the end of the job and a write that has just got under way, one sees the other.
    private func sawWrite(_ write: TwinWrite) {
        if closed.load(ordering: .sequentiallyConsistent) { handle(.abandon, of: write) }
    }

    /// The source's write has ended, after what goes to no twin was marked; `isGood`: all of it was
    /// written.
    func sourceDone(_ write: TwinWrite, isGood: Bool) {
        handle(.sourceDone(isGood: isGood && !write.wasTruncated()), of: write)
    }

    /// Where the twin was truncated in between, this write may have made it longer again: it has
    /// failed then. Each side asks when it is done, so the later one sees every truncation before
    /// the end.
    private func targetDone(_ write: TwinWrite, isGood: Bool) {
        handle(.targetDone(isGood: isGood && !write.wasTruncated()), of: write)
        leftTwin(write)
    }

    /// - Returns: whether the guest waited for the twin until then.
    @discardableResult
    private func handle(_ event: ForwardMachine.Event, of write: TwinWrite) -> Bool {
        let (actions, isNews) = write.handle(event)
        perform(actions, on: write)
        return isNews
    }

    private func perform(_ actions: ForwardMachine.Actions, on write: TwinWrite) {
        if actions.contains(.mark) {
            for piece in write.pieces { table.markUncounted(piece) }
        }
        if actions.contains(.endForward) { end(write, isGood: true) }
        if actions.contains(.failForward) { end(write, isGood: false) }
        if actions.contains(.tellGuest) { write.tellDone() }
    }

    /// R4: what may not be on the twin is marked before its forward ends, and so is the size.
    private func end(_ write: TwinWrite, isGood: Bool) {
        var needsWake = !isGood && table.markLength()
        for piece in write.pieces
        where isGood ? table.endForward(piece) : table.failForward(piece) {
            needsWake = true
        }
        if needsWake { wake() }
    }

    /// Whether the calling thread may write it to the twin itself: that takes less than to wake a
    /// lane, and another thread again for the answer. After true it calls `writeHere`.
    func admitsCaller(_ write: TwinWrite) -> Bool {
        guard write.byteCount <= TwinSpeed.mostBytes, speed.isFast, twin.isLocal,
            permits.take()
        else { return false }
        state.withLock { $0.underWay[ObjectIdentifier(write)] = write }
        sawWrite(write)
        return true
    }

    /// After `admitsCaller`, on the same thread, once the source is written. Waits for the twin,
    /// and not where nobody waits for the write any more: then its pieces are marked.
    func writeHere(_ write: TwinWrite, _ data: UnsafeRawBufferPointer, at offset: UInt64) {
        write.beginWait()
        if write.isAbandoned {
            targetDone(write, isGood: false)
        } else {
            carryOut(write, data, at: offset)
        }
        permits.giveBack()
    }

    /// Gives up waiting for writes that are not done; their guests go on.
    ///
    /// - Returns: how many.
    @discardableResult
    package func abandon(where isSlow: (TwinWrite) -> Bool) -> Int {
        let all = state.withLock { Array($0.underWay.values) }
        return all.count { isSlow($0) && handle(.abandon, of: $0) }
    }

    /// On a lane, or a request's thread. `unflushed` is marked before the failures are counted
    /// again: of a failing flush and this thread, one sees the other.
    private func carryOut(
        _ write: TwinWrite, _ data: UnsafeRawBufferPointer, at offset: UInt64
    ) {
        let failures = flushFailures()
        var failure: (ByteRange, Errno)?
        for piece in write.pieces {
            let start = Int(piece.lowerBound - offset)
            let slice = UnsafeRawBufferPointer(rebasing: data[start..<start + Int(piece.count)])
            do throws(Errno) { try writeTimed(slice, at: piece.lowerBound) } catch {
                failure = failure ?? (piece, error)
            }
            unflushed.markUncounted(piece)
        }
        let isGood = failure == nil && failures == flushFailures()
        if isGood { count(write.byteCount) }
        targetDone(write, isGood: isGood)
        if let (piece, error) = failure { failed(piece, error) }
    }

    private func writeTimed(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        let began = Stopwatch.nanoseconds
        try twin.write(data, at: offset)
        if data.count <= TwinSpeed.mostBytes { speed.took(Stopwatch.nanoseconds - began) }
    }

    private func leftTwin(_ write: TwinWrite) {
        let isLast = state.withLock { state in
            state.underWay[ObjectIdentifier(write)] = nil
            return state.underWay.isEmpty
        }
        // The job may be at its end and wait for the twin to be free.
        if isLast, !isOn { wake() }
    }
}

/// Whether small writes to a twin are fast, but for those that wait for a processor or for each
/// other.
///
/// Whether a request's thread writes the twin itself depends on it: with a lane guests wait for two
/// threads to wake up, some tens of microseconds, but source and twin are written side by side.
final class TwinSpeed: Sendable {
    /// Longer writes outweigh two wake-ups.
    static let mostBytes = 128 << 10
    /// Nanoseconds.
    private static let fast = 100_000
    private static let most = 48

    /// Rises with each slow write, and falls by three with each fast one: many writes at once make
    /// each other slow, with lanes still more, and one fast one in four shows that it is not the
    /// twin. Two threads at once may lose one's.
    private let score = Atomic<Int>(0)

    var isFast: Bool { score.load(ordering: .relaxed) < Self.most / 2 }

    func took(_ nanoseconds: Int) {
        let old = score.load(ordering: .relaxed)
        let new = nanoseconds < Self.fast ? max(0, old - 3) : min(Self.most, old + 1)
        if new != old { score.store(new, ordering: .relaxed) }
    }
}

extension Forwarder {
    private func count(_ more: Int) {
        let all = bytes.add(more, ordering: .relaxed).newValue
        guard all >= alarm.load(ordering: .relaxed) else { return }
        alarm.store(.max, ordering: .relaxed)
        wake()
    }
}

extension Forwarder.State {
    /// Writes to one twin at once.
    private static let mostLanes = 8

    fileprivate mutating func lane(_ label: String) -> DispatchQueue {
        if lanes.isEmpty {
            lanes = (0..<Self.mostLanes).map {
                DispatchQueue(label: "twinfs.forward\($0).\(label)", qos: .userInitiated)
            }
        }
        nextLane = (nextLane + 1) % lanes.count
        return lanes[nextLane]
    }
}
