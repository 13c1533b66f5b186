internal import CLinux
internal import Glibc
public import SystemPackage

// Calls that change the entries of a directory held by an O_PATH descriptor.

/// How a rename treats what already has the new name.
public struct RenameOptions: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let noReplace = RenameOptions(rawValue: 1)
    public static let exchange = RenameOptions(rawValue: 2)
}

extension FileDescriptor {
    /// Creates and opens a regular file, or opens the one that is there. Corresponds to
    /// `openat2(2)`.
    public func createFile(
        _ name: UnsafePointer<CChar>, _ flags: OpenFlags, mode: UInt32
    ) throws(Errno) -> FileDescriptor {
        let bits = flags.backing | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (flags.rawValue & O_EXCL)
        return FileDescriptor(
            rawValue: try retrying { clinux_create(rawValue, name, bits, mode & 0o7777) })
    }

    /// Corresponds to `mkdirat(2)`.
    public func makeDirectory(_ name: UnsafePointer<CChar>, mode: UInt32) throws(Errno) {
        _ = try retrying { mkdirat(rawValue, name, mode) }
    }

    /// Corresponds to `mknodat(2)`; `mode` has the type.
    public func makeNode(
        _ name: UnsafePointer<CChar>, mode: UInt32, device: UInt64
    ) throws(Errno) {
        _ = try retrying { mknodat(rawValue, name, mode, dev_t(device)) }
    }

    /// Corresponds to `symlinkat(2)`.
    public func makeSymbolicLink(
        _ name: UnsafePointer<CChar>, to target: UnsafePointer<CChar>
    ) throws(Errno) {
        _ = try retrying { symlinkat(target, rawValue, name) }
    }

    /// Gives the file `node` one more name here. Corresponds to `linkat(2)`.
    public func makeLink(_ name: UnsafePointer<CChar>, to node: FileDescriptor) throws(Errno) {
        _ = try retrying { clinux_node_link(node.rawValue, rawValue, name) }
    }

    /// Corresponds to `unlinkat(2)`, with AT_REMOVEDIR for directories.
    public func removeEntry(_ name: UnsafePointer<CChar>, isDirectory: Bool) throws(Errno) {
        _ = try retrying { unlinkat(rawValue, name, isDirectory ? AT_REMOVEDIR : 0) }
    }

    /// Corresponds to `renameat2(2)`.
    public func renameEntry(
        _ name: UnsafePointer<CChar>, to other: FileDescriptor, _ newName: UnsafePointer<CChar>,
        _ options: RenameOptions
    ) throws(Errno) {
        _ = try retrying {
            clinux_renameat2(rawValue, name, other.rawValue, newName, options.rawValue)
        }
    }
}
