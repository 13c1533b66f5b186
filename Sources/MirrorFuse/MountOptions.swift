/// How the kernel is asked to show a mount.
public struct MountOptions: Sendable {
    /// Whether other users than the daemon's may use the mount; always so where the daemon is root.
    public var allowOther = false
    public var readOnly = false
    /// What `mount` and `df` show as the source; nil is the source's path.
    public var name: String?
    /// Further options of mount(8) that the kernel knows: `noexec`, `noatime`, `sync` …
    public var kernelOptions: [String] = []

    public init() {}
}

/// Why a directory could not be mounted or detached.
public struct MountError: Error, Sendable, CustomStringConvertible {
    public let message: String
    /// What the kernel or libfuse said; empty where nothing.
    public let cause: String

    public var description: String { cause.isEmpty ? message : "\(message): \(cause)" }
}
