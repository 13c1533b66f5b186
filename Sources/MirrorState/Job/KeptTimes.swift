package import MirrorSystem

/// A file at an instant, as marks on disk say it. Its device number is not kept: it changes with a
/// boot.
package protocol KeptTimes {
    var inode: UInt64 { get }
    var size: UInt64 { get }
    /// Nanoseconds since 1970: of its bytes, and of anything of it.
    var modified: Int64 { get }
    var changed: Int64 { get }
}

extension KeptTimes {
    /// R10: whether nobody has changed it meanwhile. A device keeps no time.
    package func fits(_ status: FileStatus) -> Bool {
        status.kind == .regular && status.identity.inode == inode && status.size == size
            && status.modified == modified && status.changed == changed
    }
}
