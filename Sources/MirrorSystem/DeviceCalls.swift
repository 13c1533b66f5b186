internal import Glibc
public import SystemPackage

extension FileDescriptor {
    /// Takes one message of a device; a single `read(2)`, which an interruption ends with
    /// `.interrupted`.
    @inline(__always)
    public func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        let count = Glibc.read(rawValue, buffer.baseAddress, buffer.count)
        if count == -1 { throw Errno(rawValue: errno) }
        return count
    }
}
