internal import CLinux
internal import Glibc
public import SystemPackage

/// Which file this is, wherever it is named: device and inode number.
public struct FileIdentity: Hashable, Sendable {
    public let device: UInt64
    public let inode: UInt64

    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// What `stat(2)` says of a file, as far as the engine asks.
public struct FileStatus: Sendable {
    public enum Kind: Sendable { case regular, directory, symbolicLink, blockDevice, other }

    public let identity: FileIdentity
    public let kind: Kind
    public var size: UInt64
    /// Bytes that the file occupies on its filesystem.
    public var allocated: UInt64
    public let mode: UInt32
    public let owner: UInt32
    public let group: UInt32
    public let links: UInt64
    /// The device that a device file stands for.
    public let representedDevice: UInt64
    /// When its bytes were changed, and when anything of it was: nanoseconds since 1970.
    public let modified: Int64
    public let changed: Int64

    init(_ raw: stat) {
        identity = FileIdentity(device: UInt64(raw.st_dev), inode: UInt64(raw.st_ino))
        size = UInt64(raw.st_size)
        allocated = UInt64(raw.st_blocks) * 512
        mode = raw.st_mode & 0o7777
        owner = raw.st_uid
        group = raw.st_gid
        links = UInt64(raw.st_nlink)
        representedDevice = UInt64(raw.st_rdev)
        modified = Int64(raw.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(raw.st_mtim.tv_nsec)
        changed = Int64(raw.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(raw.st_ctim.tv_nsec)
        kind =
            switch raw.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFBLK: .blockDevice
            default: .other
            }
    }
}

extension FileDescriptor {
    /// Corresponds to `fstat(2)`.
    public func status() throws(Errno) -> FileStatus { try statusOfDescriptor(rawValue) }
}

extension FilePath {
    /// The status of what the path leads to. Corresponds to `stat(2)`, or `lstat(2)` when links are
    /// not followed.
    public func status(followingLinks: Bool = true) throws(Errno) -> FileStatus {
        try statusOfPath(self, followingLinks)
    }
}

// Free functions, because inside the extensions `stat` is swift-system's method.

private func statusOfDescriptor(_ descriptor: Int32) throws(Errno) -> FileStatus {
    var raw = stat()
    _ = try retrying { fstat(descriptor, &raw) }
    return FileStatus(raw)
}

private func statusOfPath(_ path: FilePath, _ followingLinks: Bool) throws(Errno) -> FileStatus {
    var raw = stat()
    _ = try retrying {
        path.withPlatformString { followingLinks ? stat($0, &raw) : lstat($0, &raw) }
    }
    return FileStatus(raw)
}
