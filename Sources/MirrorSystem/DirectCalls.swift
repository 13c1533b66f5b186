internal import CLinux
internal import Glibc
public import SystemPackage

/// The ways into one file that a handle has: through the page cache, and past it (O_DIRECT) where
/// the guest asked for that. Both numbers always stand for the same file.
public struct DataPath: Sendable {
    public let buffered: FileDescriptor
    /// Nil for a request that is not direct. An ordinary descriptor where the filesystem has no
    /// direct I/O.
    public let direct: FileDescriptor?

    /// What offsets and lengths are multiples of where direct I/O is tried at all: no disk has
    /// smaller sectors. A filesystem that demands more refuses a request with EINVAL before it does
    /// anything.
    public static let smallestBlock: UInt64 = 512

    public init(buffered: FileDescriptor, direct: FileDescriptor? = nil) {
        (self.buffered, self.direct) = (buffered, direct)
    }

    /// Writes up to `data.count` bytes at `offset`, directly where that is possible.
    /// Corresponds to `pwrite(2)`.
    @inline(__always)
    public func writeSome(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        guard let direct else { return try buffered.writeSome(data, at: offset) }
        do throws(Errno) {
            return try direct.writeSome(data, at: offset)
        } catch {
            guard error == .invalidArgument else { throw error }
            return try buffered.writeSome(data, at: offset)
        }
    }

    /// Reads until `buffer` is full or the file ends, directly where that is possible; says how
    /// many bytes came.
    @inline(__always)
    public func readFully(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        let count = try readDirect(into: buffer, at: offset)
        if count == buffer.count { return count }
        // After a short answer the next offset need not be aligned, and only a further read that
        // gets nothing tells the end of the file.
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
        return count + (try buffered.readFully(into: rest, at: offset + UInt64(count)))
    }

    /// Whether reads go through the page cache. Asks the kernel: a switch-over may have brought
    /// another file.
    public var usesCache: Bool { direct.map { !$0.isDirect } ?? true }

    /// Adds `count` bytes to `pipe`, where they are read through the page cache. False where they
    /// are not all in it.
    public func readPages(_ count: Int, at offset: UInt64, into pipe: PagePipe) -> Bool {
        usesCache && pipe.add(count, of: buffered, at: offset)
    }

    @inline(__always)
    private func readDirect(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        guard let direct else { return 0 }
        do throws(Errno) {
            return try direct.readSome(into: buffer, at: offset)
        } catch {
            guard error == .invalidArgument else { throw error }
            return 0
        }
    }
}

extension FileDescriptor {
    /// Opens what this O_PATH descriptor holds, with the guest's access mode, O_SYNC and O_DSYNC.
    ///
    /// - Parameter directly: with O_DIRECT, where it is a regular file whose filesystem says that
    ///   it can do that. On a block device buffered and direct writes are not kept apart by the
    ///   kernel: one that meets the other's page leaves old bytes in the cache, and fails the next
    ///   flush.
    public func reopened(_ flags: OpenFlags, directly: Bool) throws(Errno) -> FileDescriptor {
        if directly, let file = reopenedDirectly(flags) { return file }
        return try reopened(flags.backing)
    }

    /// Whether it has O_DIRECT now: what it refers to may have changed since it was opened.
    public var isDirect: Bool {
        let flags = fcntl(rawValue, F_GETFL)
        return flags != -1 && flags & Glibc.O_DIRECT != 0
    }

    private func reopenedDirectly(_ flags: OpenFlags) -> FileDescriptor? {
        var (offset, memory): (UInt32, UInt32) = (0, 0)
        guard clinux_direct_alignment(rawValue, &offset, &memory) == 0 else { return nil }
        // The buffers of requests begin at a page.
        guard max(offset, memory) <= PageMemory.pageSize else { return nil }
        return try? reopened(flags.backing | O_DIRECT)
    }
}
