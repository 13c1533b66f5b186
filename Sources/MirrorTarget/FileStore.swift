import MirrorCore
import MirrorSystem
import SystemPackage

/// A regular file as a store. Its descriptor, which holds the lock, is the twin's too.
struct FileStore: TwinStore {
    let descriptor: FileDescriptor
    let blockSize: Int
    private let bulk: BulkAccess

    init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
        bulk = BulkAccess(descriptor)
        blockSize = (try? descriptor.filesystemBlockSize()) ?? ZeroScan.block
    }

    var capacity: UInt64? { nil }
    var local: FileDescriptor? { descriptor }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        try descriptor.readFully(into: buffer, at: offset)
    }

    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try descriptor.writeFully(data, at: offset)
    }

    func readBulk(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try bulk.readFully(into: buffer, at: offset)
    }

    func writeBulk(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try bulk.writeFully(data, at: offset)
    }

    func zero(_ range: ByteRange, unmap: Bool) throws(Errno) {
        let mode: AllocationMode = unmap ? [.punchHole, .keepSize] : [.zeroRange]
        do throws(Errno) {
            try descriptor.allocate(mode, at: range.lowerBound, count: range.count)
        } catch .notSupported, .invalidArgument {
            try writeZeroes(range)
        }
    }

    func giveBackTail(of range: ByteRange, _ claimed: UInt64) -> Bool {
        let block = UInt64(blockSize)
        let start = range.upperBound / block * block
        guard start < range.upperBound, range.lowerBound <= start, start + block <= claimed else {
            return false
        }
        let mode: AllocationMode = [.punchHole, .keepSize]
        return (try? descriptor.allocate(mode, at: start, count: block)) != nil
    }

    func setSize(_ size: UInt64) throws(Errno) { try descriptor.setSize(size) }

    func size() throws(Errno) -> UInt64 { try descriptor.status().size }

    func flush() throws(Errno) { try descriptor.synchronize() }

    func close() { try? descriptor.close() }
}
