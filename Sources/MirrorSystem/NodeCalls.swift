internal import CLinux
internal import Glibc
public import SystemPackage

// Calls on a file that is held by an O_PATH descriptor. Names are C strings: bytes, in no encoding.

let utimeNow = Int(CLINUX_UTIME_NOW)
let utimeOmit = Int(CLINUX_UTIME_OMIT)

extension FileDescriptor {
    /// Holds the entry `name` of this directory, without following a link or leaving the directory.
    /// Corresponds to `openat2(2)` with O_PATH, O_NOFOLLOW and RESOLVE_BENEATH.
    public func openNode(_ name: UnsafePointer<CChar>) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retrying { clinux_open_node(rawValue, name) })
    }

    /// Opens what this O_PATH descriptor holds. Corresponds to `open(2)` of `/proc/self/fd/N`.
    public func reopened(_ flags: Int32) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retrying { clinux_reopen(rawValue, flags) })
    }

    /// Opens what this O_PATH descriptor of a directory holds, for reading its entries.
    public func reopenedAsDirectory() throws(Errno) -> FileDescriptor {
        try reopened(O_RDONLY | O_DIRECTORY)
    }

    /// Holds the file that this descriptor has open.
    public func reopenedAsNode() throws(Errno) -> FileDescriptor { try reopened(CLINUX_O_PATH) }

    /// The path under `/proc` that leads to what this descriptor holds, for as long as it is open.
    public var procPath: FilePath { FilePath("/proc/self/fd/\(rawValue)") }

    /// Corresponds to `fstatat(2)` with AT_EMPTY_PATH.
    public func attributes() throws(Errno) -> FileAttributes {
        try attributesOfNode(rawValue)
    }

    /// Corresponds to `chmod(2)`.
    public func setPermissions(_ mode: UInt32) throws(Errno) {
        _ = try retrying { clinux_node_chmod(rawValue, mode) }
    }

    /// Nil leaves an id as it is. Corresponds to `fchownat(2)`.
    public func setOwner(_ owner: UInt32?, group: UInt32?) throws(Errno) {
        _ = try retrying { clinux_node_chown(rawValue, owner ?? .max, group ?? .max) }
    }

    /// Corresponds to `utimensat(2)`.
    public func setTimes(access: FileTime, modification: FileTime) throws(Errno) {
        _ = try retrying {
            withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times in
                times[0] = access.raw
                times[1] = modification.raw
                return clinux_node_utimens(rawValue, times.baseAddress)
            }
        }
    }

    /// The target of a symbolic link into `buffer`; how many bytes it has (cut at the buffer's
    /// end). Corresponds to `readlinkat(2)`.
    public func readLink(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try retrying {
            clinux_node_readlink(
                rawValue, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
        }
    }

    /// The filesystem that holds the file. Corresponds to `fstatvfs(3)`.
    public func filesystemStatistics() throws(Errno) -> FilesystemStatistics {
        var raw = statvfs()
        _ = try retrying { fstatvfs(rawValue, &raw) }
        return FilesystemStatistics(raw: raw)
    }

    /// Corresponds to `lseek(2)` with SEEK_DATA or SEEK_HOLE, whose number `whence` is.
    public func seekRaw(_ offset: Int64, _ whence: Int32) throws(Errno) -> Int64 {
        Int64(try retrying { Glibc.lseek(rawValue, off_t(offset), whence) })
    }
}

// A free function, because inside the extension `stat` is swift-system's method.
private func attributesOfNode(_ descriptor: Int32) throws(Errno) -> FileAttributes {
    var raw = stat()
    _ = try retrying { clinux_node_status(descriptor, &raw) }
    return FileAttributes(raw)
}
