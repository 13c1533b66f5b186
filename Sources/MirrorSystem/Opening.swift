internal import CLinux
internal import Glibc
public import SystemPackage

extension FileDescriptor {
    /// Opens a backing file that is named by a path under `/proc/self/fd`, or any other path, for
    /// the engine's own use: close-on-exec, never O_APPEND. Corresponds to `open(2)`.
    public static func openBacking(
        _ path: FilePath, _ mode: AccessMode, _ options: OpenOptions = []
    ) throws(Errno) -> FileDescriptor {
        let flags = mode.rawValue | options.rawValue | O_CLOEXEC
        return FileDescriptor(
            rawValue: try retrying { path.withPlatformString { Glibc.open($0, flags, 0o600) } })
    }

    /// Takes the exclusive open-file-description lock on the whole file;
    /// `.resourceTemporarilyUnavailable` where another open file holds one. Filesystems without
    /// such locks count as unlocked. Corresponds to `fcntl(2)` with F_OFD_SETLK.
    public func lockExclusively() throws(Errno) {
        do throws(Errno) {
            _ = try retrying { clinux_ofd_lock(rawValue, Int16(F_WRLCK)) }
        } catch .noLocks, .invalidArgument, .notSupported {
            return
        }
    }
}
