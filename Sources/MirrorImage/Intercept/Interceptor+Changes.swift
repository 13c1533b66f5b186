import MirrorCore
public import MirrorSystem
import Synchronization
public import SystemPackage

// Changes of an image that are no writes, by the steps of `Interceptor.swift`; and its flush.

extension Image {
    /// Sets the image's size. What it may remove is marked, and so is the size itself. Growth needs no
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
        let slot = trackers.beginChange(ByteRange(size, max(size, end.farthest)), isTruncation: true)
        let outcome: Outcome
        do throws(Errno) {
            try descriptor.setSize(size)
            outcome = .done(0)
        } catch {
            outcome = .failed(error)
        }
        let reach = end.truncated()
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
        let truncations = end.begin()
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
                markGrowth(to: range.upperBound, since: truncations, isCertain: true)
            } else {
                markGrowth(to: range.upperBound, since: truncations, isCertain: false)
            }
        }
        trackers.endChange(slot)
        gate.leave(range)
        return outcome
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
