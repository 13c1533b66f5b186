internal import CLinux
internal import Glibc
public import SystemPackage

/// An entry of a directory.
public struct DirectoryEntry: Sendable {
    public let inode: UInt64
    /// Where the next entry is: what `seekDirectory` takes.
    public let next: Int64
    /// Type bits of the mode; 0 where the filesystem does not say.
    public let type: UInt32
    /// Bytes, in no encoding.
    public let name: [UInt8]
    /// Bytes that the entry occupies in the buffer.
    public let length: Int

    /// Reads the entry that starts at `offset` of `buffer`, a `struct linux_dirent64`.
    public init(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int) {
        inode = buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        next = buffer.loadUnaligned(fromByteOffset: offset + 8, as: Int64.self)
        length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
        type = UInt32(buffer[offset + 18]) << 12
        name = Array(buffer[(offset + 19)..<(offset + length)].prefix { $0 != 0 })
    }
}

extension FileDescriptor {
    /// Reads the next entries of a directory; 0 bytes at its end. Corresponds to `getdents64(2)`.
    public func readEntries(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try retrying { clinux_getdents(rawValue, buffer.baseAddress, buffer.count) }
    }

    /// Goes to an entry of a directory. Corresponds to `lseek(2)` with SEEK_SET.
    public func seekDirectory(to position: Int64) throws(Errno) {
        _ = try retrying { Glibc.lseek(rawValue, off_t(position), SEEK_SET) }
    }
}
