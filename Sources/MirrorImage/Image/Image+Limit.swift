import MirrorCore
import MirrorSystem
import Synchronization
public import SystemPackage

// An image on a block device, which may be larger than the image: what lies past its end is not the
// guest's.

extension Image {
    /// Past which nothing of the image can be from now on: its length where a device serves it,
    /// `UInt64.max` where a file does. Under `opening`.
    package func bound(to limit: UInt64) { self.limit.store(limit, ordering: .releasing) }

    /// How many of the bytes that a read at `offset` got from the file belong to the image. Asked
    /// after the read: the file may have become a device just before it.
    package func owned(_ count: Int, at offset: UInt64) -> Int {
        let limit = limit.load(ordering: .acquiring)
        return offset >= limit ? 0 : Int(min(UInt64(count), limit - offset))
    }

    /// Where the next data or hole is, found in the file from `offset` on; the image ends in a
    /// hole.
    public func owned(_ found: Int64, from offset: Int64) throws(Errno) -> Int64 {
        let limit = Int64(clamping: limit.load(ordering: .acquiring))
        if offset >= limit { throw .noSuchAddressOrDevice }
        return min(found, limit)
    }
}

// What the shim does with a change that leads past the limit. No change is under way in the gate.

extension Image {
    /// Writes what there is room for, as a full disk would.
    func writeBounded(
        _ data: UnsafeRawBufferPointer, at offset: UInt64, _ limit: UInt64,
        through path: DataPath
    ) -> Outcome {
        if data.isEmpty { return .done(0) }
        guard offset < limit else { return .failed(.noSpace) }
        let fitting = UnsafeRawBufferPointer(rebasing: data[..<Int(limit - offset)])
        return write(fitting, at: offset, through: path)
    }

    /// The size of a device is what it is.
    func truncateBounded(to size: UInt64, _ limit: UInt64) -> Outcome {
        size == limit ? .done(0) : .failed(size > limit ? .noSpace : .invalidArgument)
    }

    /// Past the end there is nothing to punch or to zero, and no room for more.
    func allocateBounded(
        _ mode: AllocationMode, at offset: UInt64, _ limit: UInt64,
        through descriptor: FileDescriptor
    ) -> Outcome {
        let changesBytes = mode.contains(.punchHole) || mode.contains(.zeroRange)
        guard mode.contains(.keepSize), changesBytes else { return .failed(.noSpace) }
        guard offset < limit else { return .done(0) }
        return allocate(mode, at: offset, count: limit - offset, through: descriptor)
    }
}
