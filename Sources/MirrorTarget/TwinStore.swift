package import MirrorCore
package import SystemPackage

/// Where a twin's bytes go: a file, a block device, an export of another machine. It knows nothing
/// of names, of images, or of what its bytes are worth; that is `Twin`'s.
///
/// Every call may block for as long as the target likes, so only lanes and clerks make them. Calls
/// on ranges that do not overlap may be made at once from several threads.
package protocol TwinStore: Sendable {
    /// Nil where the store can be of any size, else the bytes that it has room for.
    var capacity: UInt64? { get }

    /// The smallest piece that can be given back to the store: a power of two. A run of zeroes that
    /// does not fill such a block makes no hole.
    var blockSize: Int { get }

    /// What a guest can go on on, open for reading and writing and locked; nil where that is not on
    /// this machine.
    var local: FileDescriptor? { get }

    /// Reads until `buffer` is full or the store ends; says how many bytes came.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int

    /// Writes all of `data`.
    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno)

    /// As `read` and `write`, for what is read once or written once: where the store can, it stays
    /// in nobody's memory.
    func readBulk(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int
    func writeBulk(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno)

    /// Makes a range read as zero: with `unmap` a hole where the store can, else allocated zeroes.
    func zero(_ range: ByteRange, unmap: Bool) throws(Errno)

    /// The last block of `range`, which reads as zero, becomes a hole as a whole, with what it has
    /// past the range; not where that goes past `claimed`. Says whether it did. The store's size
    /// stays.
    func giveBackTail(of range: ByteRange, _ claimed: UInt64) -> Bool

    /// Gives the store a size; `.noSpace` where it cannot be that large. A store with a capacity
    /// keeps it.
    func setSize(_ size: UInt64) throws(Errno)

    /// Bytes that there are now.
    func size() throws(Errno) -> UInt64

    /// Everything written so far is on stable storage when this returns.
    func flush() throws(Errno)

    /// Gives the store back, its lock too. Nothing else may be called afterwards.
    func close()
}

/// Connects to what a URI names. Blocks; the errors are in words.
package typealias TwinStoreOpener = @Sendable (_ uri: String) throws(CommandError) -> any TwinStore

extension TwinStore {
    package func readBulk(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try read(into: buffer, at: offset)
    }

    package func writeBulk(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try write(data, at: offset)
    }

    package func giveBackTail(of range: ByteRange, _ claimed: UInt64) -> Bool { false }

    /// Offset of the first byte below `end` that is not zero, found by reading: what a device says
    /// of its discarded blocks is not to be trusted.
    func firstNonZero(below end: UInt64) throws(Errno) -> UInt64? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while offset < end {
            let wanted = Int(min(UInt64(buffer.count), end - offset))
            let count = try read(
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
            if count == 0 { return nil }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            if !ZeroScan.isZero(piece) {
                return offset + UInt64(piece.firstIndex { $0 != 0 } ?? 0)
            }
            offset += UInt64(count)
        }
        return nil
    }

    /// Writes zeroes, where the store has no shorter way.
    package func writeZeroes(_ range: ByteRange) throws(Errno) {
        let zeroes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 4096)
        zeroes.initializeMemory(as: UInt8.self, repeating: 0)
        defer { zeroes.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(min(range.upperBound - offset, UInt64(zeroes.count)))
            try write(UnsafeRawBufferPointer(rebasing: zeroes[..<count]), at: offset)
            offset += UInt64(count)
        }
    }
}
