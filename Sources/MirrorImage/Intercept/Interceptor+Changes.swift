import MirrorCore
public import MirrorSystem
import Synchronization
public import SystemPackage

// Changes of an image that are no writes, by the steps of `Change.swift`; and its flush.

extension Image {
    /// Sets the image's size. What it may remove is marked, and so is the size itself. Growth needs
    /// no mark of its bytes: past its end a twin reads as zero. Corresponds to `ftruncate(2)`.
    public func truncate(to size: UInt64, through descriptor: FileDescriptor) -> Outcome {
        change(
            .truncation(to: size), bounded: { truncateBounded(to: size, $0) },
            act: { Outcome(of: { () throws(Errno) in try descriptor.setSize(size) }) })
    }

    /// Allocates, punches or zeroes a range. Corresponds to `fallocate(2)`.
    public func allocate(
        _ mode: AllocationMode, at offset: UInt64, count: UInt64, through descriptor: FileDescriptor
    ) -> Outcome {
        let change = Change.allocation(
            ByteRange(at: offset, count: count),
            changesBytes: mode.contains(.punchHole) || mode.contains(.zeroRange),
            mayGrow: !mode.contains(.keepSize))
        return self.change(
            change, bounded: { allocateBounded(mode, at: offset, $0, through: descriptor) },
            act: {
                Outcome(of: { () throws(Errno) in
                    try descriptor.allocate(mode, at: offset, count: count)
                })
            })
    }

    /// Makes the source durable. A failure sticks until the last handle is closed: filesystems
    /// report it once and then pretend. Twins follow where `flushesTwins` says so. Corresponds to
    /// `fsync(2)` and `fdatasync(2)`.
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
