/// How the kernel is asked to show a mount.
package struct MountOptions: Sendable {
    /// Whether other users than the daemon's may use the mount; always so where the daemon is root.
    package var allowOther = false
    package var readOnly = false
    /// What `mount` and `df` show as the source; nil is the source's path.
    package var name: String?
    /// Further options of mount(8) that the kernel knows: `noexec`, `noatime`, `sync` …
    package var kernelOptions: [String] = []

    package init() {}
}

/// Why a directory could not be mounted or detached.
package struct MountError: Error, Sendable, CustomStringConvertible {
    package let message: String
    /// What the kernel or libfuse said; empty where nothing.
    package let cause: String

    package var description: String { cause.isEmpty ? message : "\(message): \(cause)" }
}
