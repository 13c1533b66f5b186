internal import CLinux
internal import Glibc
public import SystemPackage

// Extended attributes of a file that is held by an O_PATH descriptor. With an empty buffer the
// calls that read say how many bytes there are.

extension FileDescriptor {
    /// `flags` are XATTR_CREATE and XATTR_REPLACE. Corresponds to `setxattr(2)`.
    public func setExtendedAttribute(
        _ name: UnsafePointer<CChar>, _ value: UnsafeRawBufferPointer, flags: Int32
    ) throws(Errno) {
        _ = try retrying {
            clinux_node_setxattr(rawValue, name, value.baseAddress, value.count, flags)
        }
    }

    /// Corresponds to `getxattr(2)`.
    public func extendedAttribute(
        _ name: UnsafePointer<CChar>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        try retrying {
            clinux_node_getxattr(rawValue, name, buffer.baseAddress, buffer.count)
        }
    }

    /// Corresponds to `listxattr(2)`.
    public func extendedAttributeNames(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        try retrying {
            clinux_node_listxattr(
                rawValue, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
        }
    }

    /// Corresponds to `removexattr(2)`.
    public func removeExtendedAttribute(_ name: UnsafePointer<CChar>) throws(Errno) {
        _ = try retrying { clinux_node_removexattr(rawValue, name) }
    }
}
