internal import CLinux
internal import Glibc
public import SystemPackage

/// A pipe by which pages of a file's cache go to another descriptor without a copy in memory of
/// this process: the pipe refers to the pages, and who takes from it copies them. Corresponds to
/// `splice(2)`.
///
/// For one thread; empty between two uses.
public final class PagePipe {
    private let reader: FileDescriptor
    private let writer: FileDescriptor
    /// Pages, or parts of them, that it can hold.
    private let slots: Int
    /// False once something could not be thrown away, a page that cannot be read any more.
    public private(set) var isUsable = true

    /// - Parameter wanted: bytes. The kernel may grant less, to those who may not go beyond
    ///   `/proc/sys/fs/pipe-max-size`, 1 MiB.
    public init(_ wanted: Int) throws(Errno) {
        var ends: [Int32] = [-1, -1]
        _ = try retrying { pipe2(&ends, Glibc.O_CLOEXEC | Glibc.O_NONBLOCK) }
        (reader, writer) = (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
        let isGranted = fcntl(ends[1], F_SETPIPE_SZ, Int32(clamping: wanted)) != -1
        if !isGranted { _ = fcntl(ends[1], F_SETPIPE_SZ, Int32(1 << 20)) }
        slots = Int(max(0, fcntl(ends[1], F_GETPIPE_SZ))) / PageMemory.pageSize
    }

    deinit {
        try? reader.close()
        try? writer.close()
    }

    /// Whether there is room for a head and `count` bytes from `offset` of a file.
    @inline(__always)
    public func hasRoom(forHeadAnd count: Int, at offset: UInt64) -> Bool {
        let page = PageMemory.pageSize
        return (Int(offset % UInt64(page)) + count + page - 1) / page < slots
    }

    /// Adds bytes of this process, as one that begins; they are copied. False where they are not
    /// all in it.
    public func begin(with head: UnsafeRawBufferPointer) -> Bool {
        Glibc.write(writer.rawValue, head.baseAddress, head.count) == head.count
    }

    /// Adds `count` bytes of a file. False where they are not all in it: the file ends before, the
    /// disk fails, the filesystem cannot. What is in it then is to be thrown away.
    public func add(_ count: Int, of file: FileDescriptor, at offset: UInt64) -> Bool {
        var (place, rest) = (off_t(offset), count)
        while rest > 0 {
            let added = splice(file.rawValue, &place, writer.rawValue, nil, rest, 0)
            if added <= 0 { return false }
            rest -= added
        }
        return true
    }

    /// Has `receiver` take `count` bytes at once; nil where it has. Otherwise what is in the pipe
    /// is to be thrown away.
    public func send(_ count: Int, to receiver: FileDescriptor) -> Errno? {
        let sent = splice(reader.rawValue, nil, receiver.rawValue, nil, count, 0)
        if sent < 0 { return Errno(rawValue: errno) }
        return sent == count ? nil : .ioError
    }

    /// Throws away what is in it.
    /// - Parameter scratch: is overwritten.
    public func empty(into scratch: UnsafeMutableRawBufferPointer) {
        var count: Int
        repeat {
            count = Glibc.read(reader.rawValue, scratch.baseAddress, scratch.count)
        } while count > 0 || count < 0 && errno == EINTR
        if errno != EAGAIN { isUsable = false }
    }
}

extension FileDescriptor {
    /// Filesystems whose pages stay readable, whatever becomes of a write to them. After one that
    /// failed, FUSE and network filesystems take a page for unreadable, and whoever takes it from a
    /// pipe gets an error.
    private static let steadyFilesystems: Set<Int64> = [
        Int64(EXT4_SUPER_MAGIC), Int64(XFS_SUPER_MAGIC), Int64(BTRFS_SUPER_MAGIC),
        Int64(TMPFS_MAGIC),
    ]

    /// Whether the file's pages may be answered with by a pipe. Corresponds to `fstatfs(2)`.
    public var givesPages: Bool {
        Self.steadyFilesystems.contains(clinux_filesystem_type(rawValue))
    }
}
