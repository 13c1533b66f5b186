package import MirrorCore
import MirrorSystem
package import SystemPackage

/// A regular file as a store. Its descriptor, which holds the lock, is the twin's too.
package struct FileStore: TwinStore {
    package let descriptor: FileDescriptor
    package let blockSize: Int
    private let bulk: BulkAccess

    package init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
        bulk = BulkAccess(descriptor)
        blockSize = (try? descriptor.filesystemBlockSize()) ?? ZeroScan.block
    }

    package var capacity: UInt64? { nil }
    package var local: FileDescriptor? { descriptor }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno)
        -> Int
    {
        try descriptor.readFully(into: buffer, at: offset)
    }

    package func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try descriptor.writeFully(data, at: offset)
    }

    package func readBulk(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try bulk.readFully(into: buffer, at: offset)
    }

    package func writeBulk(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try bulk.writeFully(data, at: offset)
    }

    package func zero(_ range: ByteRange, unmap: Bool) throws(Errno) {
        let mode: AllocationMode = unmap ? [.punchHole, .keepSize] : [.zeroRange]
        do throws(Errno) {
            try descriptor.allocate(mode, at: range.lowerBound, count: range.count)
        } catch .notSupported, .invalidArgument {
            try writeZeroes(range)
        }
    }

    package func giveBackTail(of range: ByteRange, _ claimed: UInt64) -> Bool {
        let block = UInt64(blockSize)
        let start = range.upperBound / block * block
        guard start < range.upperBound, range.lowerBound <= start, start + block <= claimed else {
            return false
        }
        let mode: AllocationMode = [.punchHole, .keepSize]
        return (try? descriptor.allocate(mode, at: start, count: block)) != nil
    }

    package func setSize(_ size: UInt64) throws(Errno) { try descriptor.setSize(size) }

    package func size() throws(Errno) -> UInt64 { try descriptor.status().size }

    package func flush() throws(Errno) { try descriptor.synchronize() }

    package func close() { try? descriptor.close() }
}
