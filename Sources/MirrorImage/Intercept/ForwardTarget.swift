package import SystemPackage

/// Where a forwarded write goes beside the source.
package protocol ForwardTarget: Sendable {
    /// Writes all of `data`. Blocks for as long as the target likes.
    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno)
    /// Whether it is a file or a device of this machine, and open.
    var isLocal: Bool { get }
}
