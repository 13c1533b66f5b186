import MirrorCore
import MirrorSystem
import SystemPackage

/// A block device as a store: of fixed size, and full of somebody's old bytes.
struct DeviceStore: TwinStore {
    private let descriptor: FileDescriptor
    var local: FileDescriptor? { descriptor }
    private let bytes: UInt64

    /// Opens and locks it, and asks it for its size.
    init(_ path: FilePath) throws(Errno) {
        // O_EXCL on a block device: refused while it is mounted or part of another device.
        descriptor = try FileDescriptor.openBacking(path, .readWrite, .exclusiveCreate)
        do throws(Errno) {
            bytes = try descriptor.blockDeviceSize()
            try descriptor.lockExclusively()
        } catch {
            try? descriptor.close()
            throw error
        }
    }

    var capacity: UInt64? { bytes }
    var blockSize: Int { ZeroScan.block }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        try descriptor.readFully(into: buffer, at: offset)
    }

    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try descriptor.writeFully(data, at: offset)
    }

    /// The kernel promises zeroes for both ways, or refuses; a discard (BLKDISCARD) promises
    /// nothing.
    func zero(_ range: ByteRange, unmap: Bool) throws(Errno) {
        let modes: [AllocationMode] =
            unmap
            ? [[.punchHole, .keepSize], [.zeroRange, .keepSize]] : [[.zeroRange, .keepSize]]
        for mode in modes {
            do throws(Errno) {
                return try descriptor.allocate(mode, at: range.lowerBound, count: range.count)
            } catch .notSupported, .invalidArgument {
                continue
            }
        }
        try writeZeroes(range)
    }

    func setSize(_ size: UInt64) throws(Errno) {
        if size > bytes { throw .noSpace }
    }

    func size() -> UInt64 { bytes }

    func flush() throws(Errno) { try descriptor.synchronize() }

    func close() { try? descriptor.close() }
}
