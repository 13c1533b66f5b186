public import Glibc

/// What `statvfs(3)` says of a filesystem.
public struct FilesystemStatistics: Sendable {
    public let raw: statvfs
}
