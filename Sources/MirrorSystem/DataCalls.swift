internal import CLinux
internal import Glibc
public import SystemPackage

// Calls that move or change an image's bytes. EINTR is handled in `retrying`, nowhere else.

/// Runs a call that answers -1 and `errno` on failure, again while it was interrupted.
@inline(__always)
func retrying<Value: FixedWidthInteger>(_ call: () -> Value) throws(Errno) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let error = Errno(rawValue: errno)
        if error != .interrupted { throw error }
    }
}

/// Reads by `readSome` until `buffer` is full or the file ends; says how many bytes came.
@inline(__always)
func filling(
    _ buffer: UnsafeMutableRawBufferPointer, from offset: UInt64,
    _ readSome: (UnsafeMutableRawBufferPointer, UInt64) throws(Errno) -> Int
) throws(Errno) -> Int {
    var done = 0
    while done < buffer.count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        let count = try readSome(rest, offset + UInt64(done))
        if count == 0 { break }
        done += count
    }
    return done
}

/// Writes all of `data` by `writeSome`.
@inline(__always)
func emptying(
    _ data: UnsafeRawBufferPointer, to offset: UInt64,
    _ writeSome: (UnsafeRawBufferPointer, UInt64) throws(Errno) -> Int
) throws(Errno) {
    var done = 0
    while done < data.count {
        let rest = UnsafeRawBufferPointer(rebasing: data[done...])
        let count = try writeSome(rest, offset + UInt64(done))
        if count == 0 { throw .ioError }
        done += count
    }
}

extension FileDescriptor {
    /// Reads up to `buffer.count` bytes at `offset`; 0 at the end of the file. Corresponds to
    /// `pread(2)`.
    @inline(__always)
    public func readSome(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64)
        throws(Errno) -> Int
    {
        try retrying { Glibc.pread(rawValue, buffer.baseAddress, buffer.count, off_t(offset)) }
    }

    /// Writes up to `data.count` bytes at `offset`. Corresponds to `pwrite(2)`.
    @inline(__always)
    public func writeSome(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        try retrying { Glibc.pwrite(rawValue, data.baseAddress, data.count, off_t(offset)) }
    }

    /// Reads until `buffer` is full or the file ends; says how many bytes came.
    public func readFully(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try filling(buffer, from: offset) { (rest, place) throws(Errno) in
            try readSome(into: rest, at: place)
        }
    }

    /// Up to `count` bytes from `offset`; fewer at the end of the file, none where it cannot be
    /// read.
    public func bytes(at offset: UInt64, count: Int) -> [UInt8] {
        (try? readBytes(at: offset, count: count)) ?? []
    }

    /// Up to `count` bytes from `offset`; fewer at the end of the file. Corresponds to `pread(2)`.
    public func readBytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(Errno) {
                filled = try readFully(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes all of `data` at `offset`.
    public func writeFully(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try emptying(data, to: offset) { (rest, place) throws(Errno) in
            try writeSome(rest, at: place)
        }
    }

    /// Sets the file's size. Corresponds to `ftruncate(2)`.
    public func setSize(_ size: UInt64) throws(Errno) {
        _ = try retrying { ftruncate(rawValue, off_t(size)) }
    }

    /// Allocates, punches or zeroes a range. Corresponds to `fallocate(2)`.
    public func allocate(_ mode: AllocationMode, at offset: UInt64, count: UInt64) throws(Errno) {
        _ = try retrying { fallocate(rawValue, mode.rawValue, off_t(offset), off_t(count)) }
    }

    /// Makes data and metadata durable. Corresponds to `fsync(2)`, or `fdatasync(2)` with
    /// `dataOnly`.
    public func synchronize(dataOnly: Bool = false) throws(Errno) {
        _ = try retrying { dataOnly ? fdatasync(rawValue) : fsync(rawValue) }
    }

    /// The first offset at or after `offset` that holds data, or nil where only a hole follows.
    /// Corresponds to `lseek(2)` with SEEK_DATA.
    public func nextData(from offset: UInt64) throws(Errno) -> UInt64? {
        try seekExtent(offset, SEEK_DATA)
    }

    /// The first offset at or after `offset` that lies in a hole (the end of the file is one), or
    /// nil past the end. Corresponds to `lseek(2)` with SEEK_HOLE.
    public func nextHole(from offset: UInt64) throws(Errno) -> UInt64? {
        try seekExtent(offset, SEEK_HOLE)
    }

    private func seekExtent(_ offset: UInt64, _ whence: Int32) throws(Errno) -> UInt64? {
        do throws(Errno) {
            return UInt64(try retrying { Glibc.lseek(rawValue, off_t(offset), whence) })
        } catch .noSuchAddressOrDevice {
            return nil
        }
    }
}

/// What `fallocate(2)` is asked to do.
public struct AllocationMode: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
    public static let keepSize = AllocationMode(rawValue: FALLOC_FL_KEEP_SIZE)
    public static let punchHole = AllocationMode(rawValue: FALLOC_FL_PUNCH_HOLE)
    public static let zeroRange = AllocationMode(rawValue: FALLOC_FL_ZERO_RANGE)
}
