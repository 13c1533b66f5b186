package import MirrorCore
import MirrorSystem
package import SystemPackage

// Bytes.

extension Twin {
    /// Fills `buffer` with what the twin has there; past its end that is zero. For comparisons,
    /// which read everything once.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) {
        let count = try store.readBulk(into: buffer, at: offset)
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            .initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// - Parameter isBulk: part of a first pass, which nobody is expected to read or overwrite
    ///   soon.
    package func write(
        _ data: UnsafeRawBufferPointer, at offset: UInt64, isBulk: Bool = false
    ) throws(Errno) {
        if isBulk {
            try store.writeBulk(data, at: offset)
        } else {
            try store.write(data, at: offset)
        }
        ragged.forget(ByteRange(at: offset, count: UInt64(data.count)))
    }

    /// Makes a range read as zero: a hole where `unmap` asks for it and the target can, else
    /// written.
    ///
    /// - Parameter claimed: where the image ended inside a copy, the end of what the copy has
    ///   claimed. The bytes between are past the image's end, and needed to give the file's last
    ///   block back as a whole.
    package func zero(_ range: ByteRange, claimed: UInt64? = nil) throws(Errno) {
        try store.zero(range, unmap: unmap)
        if unmap, let claimed, store.giveBackTail(of: range, claimed) {
            return ragged.forget(ByteRange(range.lowerBound, claimed))
        }
        let edges = ragged.edges(of: range)
        if edges.isEmpty { return ragged.forget(range) }
        for edge in edges where try isZero(ragged.range(edge)) { ragged.found(edge) }
    }

    /// Blocks that became zero in pieces: marked whole by the job once their claims have ended,
    /// they become holes. Each is told once.
    package func takeRaggedBlocks() -> [ByteRange] { ragged.take() }

    private func isZero(_ range: ByteRange) throws(Errno) -> Bool {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(range.count), alignment: 4096)
        defer { buffer.deallocate() }
        let count = try store.read(into: buffer, at: range.lowerBound)
        return ZeroScan.isZero(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    /// Makes what the twin has of a range past the image's end read as zero, without making it
    /// longer.
    package func clear(_ range: ByteRange) throws(Errno) {
        let there = range.clamped(below: try store.size())
        if there.isEmpty { return }
        try store.zero(there, unmap: unmap)
    }

    /// Bytes that the twin has now; a device's are fixed.
    package func size() throws(Errno) -> UInt64 { try store.size() }

    /// Gives the twin the image's size. A device only has to be large enough.
    package func setSize(_ size: UInt64) throws(Errno) { try store.setSize(size) }

    /// Everything written so far is on stable storage when this returns.
    package func flush() throws(Errno) { try store.flush() }

    /// Makes the twin equal the image as it is now, by a clone: for the instant at which tracking
    /// starts, while no write is under way. Fails only where the job's start would have been
    /// refused already, or the disk has changed since.
    package func clone(from source: FileDescriptor) throws(Errno) {
        guard let file else { throw .notSupported }
        try file.descriptor.clone(source)
        try file.descriptor.setSize(try source.status().size)
    }
}
