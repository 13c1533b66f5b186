import MirrorCore
public import MirrorSystem
import Synchronization
public import SystemPackage

/// The shim: every change of an image's bytes goes through here, and nowhere else.
///
/// 1. `gate.enter`: counted as under way, or parked while a job cuts.
/// 2. its intent is durable (R11), or it leaves the gate and is parked until that is so; and it is noted as under
///    way, for the worker that comes after this one (`TrackerList.beginChange`)
/// 3. the source is changed, whatever comes of it
/// 4. every granule that the change may have touched is marked, also when it failed (R1, R4)
/// 5. the note is taken back, `gate.leave`; the copiers that slept are woken; only then the caller replies.
///
/// A write that a job forwards goes the same way, with its twin beside the source (`Forward`).
extension Image {
    /// What became of a change.
    public enum Outcome: Sendable {
        /// Bytes written; 0 for changes that do not count bytes.
        case done(Int)
        case failed(Errno)
        /// A cut holds the image: nothing was done. Keep the request, and pass its retry to `whenLifted`.
        case held
        /// The write goes to twins too: `Forward.then`, which must be called, tells what became of it. Only from `write`.
        case forwarded(Forward)
    }

    /// Writes `data` at `offset` of the source through the handle's own descriptors, which carry its
    /// O_SYNC or O_DSYNC. Corresponds to `pwrite(2)`.
    ///
    /// - Parameter mayStay: whether this thread may wait for a twin, in `Forward.then`. Not one that others need.
    public func write(
        _ data: UnsafeRawBufferPointer, at offset: UInt64, through path: DataPath,
        mayStay: Bool = true
    ) -> Outcome {
        let range = ByteRange(at: offset, count: UInt64(data.count))
        guard range.upperBound <= DirtyTable.limit else { return .failed(.fileTooLarge) }
        guard gate.enter(range) else { return .held }
        let limit = limit.load(ordering: .relaxed)
        if range.upperBound > limit {
            gate.leave(range)
            return writeBounded(data, at: offset, limit, through: path)
        }
        guard isIntended(range) else { return leaveForIntent(range) }
        if trackers.forwards {
            let forward = Forward(self, range, path)
            forward.begin(data, mayStay: mayStay)
            return .forwarded(forward)
        }
        let slot = trackers.beginChange(range)
        let cuts = end.begin()
        let outcome = writeSource(data, at: offset, through: path)
        if case .done(let count) = outcome { end.reached(offset + UInt64(count)) }
        mark(range)
        if case .done(let count) = outcome {
            markGrowth(to: offset + UInt64(count), since: cuts, isCertain: true)
        } else {
            markGrowth(to: range.upperBound, since: cuts, isCertain: false)
        }
        trackers.endChange(slot)
        gate.leave(range)
        return outcome
    }

    /// The write of the source, and nothing else; timed where a job wants to know.
    @inline(__always)
    func writeSource(
        _ data: UnsafeRawBufferPointer, at offset: UInt64, through path: DataPath
    ) -> Outcome {
        let started = timer.start()
        defer { timer.stop(started, .write(data.count)) }
        do throws(Errno) {
            return .done(try path.writeSome(data, at: offset))
        } catch {
            return .failed(error)
        }
    }

    /// Sets the image's size. What may be cut off is marked, and so is the size itself. Growth needs no
    /// mark of its bytes: past its end a twin reads as zero. Corresponds to `ftruncate(2)`.
    public func truncate(to size: UInt64, through descriptor: FileDescriptor) -> Outcome {
        guard size <= DirtyTable.limit else { return .failed(.fileTooLarge) }
        let everything = ByteRange(0, UInt64(Int64.max))
        guard gate.enter(everything) else { return .held }
        let limit = limit.load(ordering: .relaxed)
        if limit != .max {
            gate.leave(everything)
            return truncateBounded(to: size, limit)
        }
        // No change that begins after this look can raise the reach past extents that are not intended, and
        // none is cleared while the gauge is entered everywhere.
        guard isIntended(ByteRange(size, max(size, end.farthest))) else {
            return leaveForIntent(everything)
        }
        let slot = trackers.beginChange(ByteRange(size, max(size, end.farthest)), isCut: true)
        let outcome: Outcome
        do throws(Errno) {
            try descriptor.setSize(size)
            outcome = .done(0)
        } catch {
            outcome = .failed(error)
        }
        let reach = end.cut()
        if size < reach { mark(ByteRange(size, reach)) }
        markLength()
        trackers.endChange(slot)
        gate.leave(everything)
        return outcome
    }

    /// Allocates, punches or zeroes a range. Corresponds to `fallocate(2)`.
    public func allocate(
        _ mode: AllocationMode, at offset: UInt64, count: UInt64, through descriptor: FileDescriptor
    ) -> Outcome {
        let range = ByteRange(at: offset, count: count)
        guard range.upperBound <= DirtyTable.limit else { return .failed(.fileTooLarge) }
        guard gate.enter(range) else { return .held }
        let limit = limit.load(ordering: .relaxed)
        if range.upperBound > limit {
            gate.leave(range)
            return allocateBounded(mode, at: offset, limit, through: descriptor)
        }
        // Plain allocation changes no byte below the end of the file, and past it both read as zero.
        let changesBytes = mode.contains(.punchHole) || mode.contains(.zeroRange)
        guard !changesBytes || isIntended(range) else { return leaveForIntent(range) }
        let slot = trackers.beginChange(range)
        let cuts = end.begin()
        let outcome: Outcome
        do throws(Errno) {
            try descriptor.allocate(mode, at: offset, count: count)
            outcome = .done(0)
        } catch {
            outcome = .failed(error)
        }
        if case .done = outcome { end.reached(range.upperBound) }
        if changesBytes { mark(range) }
        if !mode.contains(.keepSize) {
            if case .done = outcome {
                markGrowth(to: range.upperBound, since: cuts, isCertain: true)
            } else {
                markGrowth(to: range.upperBound, since: cuts, isCertain: false)
            }
        }
        trackers.endChange(slot)
        gate.leave(range)
        return outcome
    }

    /// Runs `retry` when what answered `.held` is over, a hold or the wait for an intent; at once where it is
    /// already.
    public func whenLifted(_ retry: @escaping @Sendable () -> Void) {
        if !intentWaits.park(retry) { gate.park(retry) }
    }

    private func leaveForIntent(_ range: ByteRange) -> Outcome {
        gate.leave(range)
        return .held
    }

    /// Makes the source durable. A failure sticks until the last handle is closed: filesystems report
    /// it once and then pretend. Twins follow where `flushesTwins` says so. Corresponds to `fsync(2)` and
    /// `fdatasync(2)`.
    public func flush(dataOnly: Bool, through descriptor: FileDescriptor) throws(Errno) {
        let earlier = flushFailure.load(ordering: .acquiring)
        if earlier != 0 { throw Errno(rawValue: earlier) }
        let started = timer.start()
        let movesThen = moves.load(ordering: .sequentiallyConsistent)
        let number = flushCount.begin()
        do throws(Errno) {
            try descriptor.synchronize(dataOnly: dataOnly)
            timer.stop(started, .flush)
        } catch {
            // The image has left that disk meanwhile.
            if moves.load(ordering: .sequentiallyConsistent) != movesThen {
                return try flush(dataOnly: dataOnly, through: descriptor)
            }
            flushFailure.store(error.rawValue, ordering: .releasing)
            throw error
        }
        flushCount.succeeded(number)
        flushWatches.flushed()
    }
}

extension Image {
    /// R1: after the data is in the source, before the reply. R4: whatever came of the write.
    @inline(__always)
    private func mark(_ range: ByteRange) {
        trackers.withEach { tracker in
            if tracker.table.mark(range) { tracker.wake() }
        }
    }

    /// A size is marked like a granule: after the change, before the reply.
    @inline(__always)
    func markGrowth(to size: UInt64, since cuts: UInt64, isCertain: Bool) {
        if end.mayHaveGrown(to: size, since: cuts, isCertain: isCertain) { markLength() }
    }

    private func markLength() {
        trackers.withEach { tracker in
            if tracker.table.markLength() { tracker.wake() }
        }
    }
}
