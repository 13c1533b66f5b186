public import Glibc

/// Everything that `stat(2)` says of a file, in the form that the kernel is answered with.
public struct FileAttributes: Sendable {
    public private(set) var raw: stat

    public init(_ raw: stat) { self.raw = raw }

    /// The attributes of a file that exists only in the mount. `mode` has the type and the
    /// permissions, `size` is in bytes; every time is now.
    public init(inode: UInt64, mode: UInt32, owner: UInt32, group: UInt32, size: Int) {
        raw = stat()
        raw.st_ino = ino_t(inode)
        raw.st_mode = mode
        raw.st_uid = owner
        raw.st_gid = group
        raw.st_size = size
        raw.st_nlink = mode & S_IFMT == S_IFDIR ? 2 : 1
        raw.st_blocks = (size + 511) / 512
        raw.st_blksize = 4096
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        (raw.st_atim, raw.st_mtim, raw.st_ctim) = (now, now, now)
    }

    /// Which file this is.
    public var identity: FileIdentity {
        FileIdentity(device: UInt64(raw.st_dev), inode: UInt64(raw.st_ino))
    }
    public var isRegular: Bool { raw.st_mode & S_IFMT == S_IFREG }
    public var isDirectory: Bool { raw.st_mode & S_IFMT == S_IFDIR }
    /// Permissions, with the set-id and sticky bits.
    public var permissions: UInt32 { raw.st_mode & 0o7777 }
    public var hasSetID: Bool { raw.st_mode & (S_ISUID | S_ISGID) != 0 }
    public var owner: UInt32 { raw.st_uid }
    public var group: UInt32 { raw.st_gid }
    public var size: UInt64 { UInt64(raw.st_size) }
    public var links: UInt64 { UInt64(raw.st_nlink) }
    public var accessTime: FileTime { FileTime(raw.st_atim) }
    public var modificationTime: FileTime { FileTime(raw.st_mtim) }

    /// Type bits of a mode, for files that exist only in the mount.
    public static let directoryType: UInt32 = S_IFDIR
    public static let regularType: UInt32 = S_IFREG

    /// Whether a mode asks `mknod(2)` for a regular file.
    public static func isRegular(mode: UInt32) -> Bool {
        mode & S_IFMT == S_IFREG || mode & S_IFMT == 0
    }
}

/// What a file's time is set to.
public struct FileTime: Sendable {
    let raw: timespec

    init(_ raw: timespec) { self.raw = raw }
    public static let now = FileTime(timespec(tv_sec: 0, tv_nsec: utimeNow))
    public static let unchanged = FileTime(timespec(tv_sec: 0, tv_nsec: utimeOmit))
}

extension FileAttributes {
    /// The permissions after a write by somebody who may not keep set-id bits: without set-user-id,
    /// and without set-group-id where the group may execute (otherwise that bit means locking).
    public var permissionsAfterWrite: UInt32 {
        let groupRuns = permissions & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP
        return permissions & ~(S_ISUID | (groupRuns ? S_ISGID : 0))
    }
}

extension FileAttributes {
    /// These attributes with another size in bytes.
    public func resized(to size: Int) -> FileAttributes {
        var copy = self
        copy.raw.st_size = size
        copy.raw.st_blocks = (size + 511) / 512
        return copy
    }

    /// These attributes with what `other` says of the content: size, blocks, and when it was
    /// changed. The time of the last status change is the later of both.
    public func withContent(of other: FileAttributes) -> FileAttributes {
        var copy = self
        copy.raw.st_size = other.raw.st_size
        copy.raw.st_blocks = other.raw.st_blocks
        copy.raw.st_mtim = other.raw.st_mtim
        let (own, there) = (raw.st_ctim, other.raw.st_ctim)
        if (there.tv_sec, there.tv_nsec) > (own.tv_sec, own.tv_nsec) { copy.raw.st_ctim = there }
        return copy
    }
}
