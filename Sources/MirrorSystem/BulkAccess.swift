internal import CLinux
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Bulk reads and writes of one file that leave the page cache to others: pages that were not there
/// before are gone again soon after, what was there stays, and whatever anybody else looks at
/// meanwhile stays too (RWF_DONTCACHE). A write is on its way to the disk when it returns, and no
/// more durable than any other: a flush waits for it, and tells its failure.
///
/// Where the kernel or the filesystem has no such thing, they are ordinary reads and writes.
public final class BulkAccess: Sendable {
    /// Smaller transfers are ordinary ones: each write starts the disk, which is worth it for much
    /// only.
    static let least = 64 << 10

    private let descriptor: FileDescriptor
    /// Until a call was refused.
    private let leavesNoPages: Atomic<Bool>

    /// - Parameter descriptor: open for as long as this is used; stays the caller's to close.
    public init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
        leavesNoPages = Atomic(Machine.canLeaveNoPages)
    }

    /// Reads until the buffer is full or the file ends, like `FileDescriptor.readFully`.
    public func readFully(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try filling(buffer, from: offset) { (rest, place) throws(Errno) in
            try readSome(into: rest, at: place)
        }
    }

    /// Writes all of the buffer, like `FileDescriptor.writeFully`.
    public func writeFully(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try emptying(data, to: offset) { (rest, place) throws(Errno) in
            try writeSome(rest, at: place)
        }
    }

    /// Corresponds to `preadv2(2)` with RWF_DONTCACHE.
    private func readSome(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try withoutPages(buffer.count) { () throws(Errno) in
            try retrying {
                clinux_read_without_pages(
                    descriptor.rawValue, buffer.baseAddress, buffer.count, off_t(offset))
            }
        } else: { () throws(Errno) in
            try descriptor.readSome(into: buffer, at: offset)
        }
    }

    /// Corresponds to `pwritev2(2)` with RWF_DONTCACHE.
    private func writeSome(
        _ data: UnsafeRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try withoutPages(data.count) { () throws(Errno) in
            try retrying {
                clinux_write_without_pages(
                    descriptor.rawValue, data.baseAddress, data.count, off_t(offset))
            }
        } else: { () throws(Errno) in
            try descriptor.writeSome(data, at: offset)
        }
    }

    /// A refusal has moved nothing, so the other way does all of it; also that of a filter of
    /// system calls (EPERM, ENOSYS), which may let an ordinary call pass.
    private func withoutPages(
        _ count: Int, _ body: () throws(Errno) -> Int, else ordinary: () throws(Errno) -> Int
    ) throws(Errno) -> Int {
        guard count >= Self.least, leavesNoPages.load(ordering: .relaxed) else {
            return try ordinary()
        }
        do throws(Errno) {
            return try body()
        } catch .notSupported, .notPermitted, .noFunction {
            leavesNoPages.store(false, ordering: .relaxed)
            return try ordinary()
        }
    }
}

extension Machine {
    /// Whether the kernel is one that may be asked for RWF_DONTCACHE. Linux 6.14 knows it, but
    /// could use memory that it had freed; 6.15 has it turned off for that reason, and 6.16 has it
    /// mended.
    static let canLeaveNoPages: Bool = {
        var name = utsname()
        guard uname(&name) == 0 else { return false }
        let release = withUnsafeBytes(of: name.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return canLeaveNoPages(release)
    }()

    /// - Parameter release: as `uname -r` says it, `6.18.4-amd64`.
    static func canLeaveNoPages(_ release: String) -> Bool {
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else { return false }
        return (numbers[0], numbers[1]) >= (6, 16)
    }
}
