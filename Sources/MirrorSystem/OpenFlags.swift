internal import CLinux
internal import Glibc

/// The flags that a guest opened a file with.
public struct OpenFlags: Sendable {
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }

    public var writes: Bool { rawValue & O_ACCMODE != O_RDONLY }

    /// What the backing file is opened with: the access mode, O_SYNC and O_DSYNC, and nothing else.
    /// O_APPEND would make `pwrite(2)` ignore its offset, O_TRUNC would change bytes behind the
    /// shim.
    public var backing: Int32 { rawValue & (O_ACCMODE | CLINUX_O_SYNC | CLINUX_O_DSYNC) }

    /// Whether the guest wants its data past the page cache (O_DIRECT).
    @inline(__always)
    public var isDirect: Bool { rawValue & O_DIRECT != 0 }

    public static let reading = OpenFlags(rawValue: O_RDONLY)
    public static let writing = OpenFlags(rawValue: O_WRONLY)
}
