import MirrorEngine
import MirrorImage
import MirrorSystem
import SystemPackage

/// An image that a guest has open. Node and flags are what a restarted worker opens it again with.
final class OpenFile: Sendable {
    /// Bytes from which on a read is served directly (docs/performance-log.md). Smaller ones are
    /// faster through the page cache.
    static let leastDirectRead: UInt32 = 64 << 10
    /// The least bytes of a write that goes to the file directly. Through the cache the copier also
    /// finds its bytes again.
    static let leastDirectWrite: UInt32 = 512 << 10

    let node: Node
    let flags: OpenFlags
    /// Carry the guest's access mode, O_SYNC and O_DSYNC, and nothing else but O_DIRECT. There is a
    /// direct descriptor where the guest opened the image with that flag.
    let path: DataPath
    let image: Image

    var descriptor: FileDescriptor { path.buffered }

    init(node: Node, flags: OpenFlags, path: DataPath, image: Image) {
        self.node = node
        self.flags = flags
        self.path = path
        self.image = image
    }

    deinit {
        try? path.direct?.close()
        try? path.buffered.close()
    }

    /// The way of one request of `count` bytes: direct where it has at least `least`, the guest's
    /// own flags say so now, and all is aligned.
    @inline(__always)
    func path(_ flags: UInt32, _ offset: UInt64, _ count: UInt32, least: UInt32) -> DataPath {
        guard count >= least, OpenFlags(rawValue: Int32(bitPattern: flags)).isDirect
        else { return DataPath(buffered: path.buffered) }
        let isAligned = (offset | UInt64(count)) % DataPath.smallestBlock == 0
        return isAligned ? path : DataPath(buffered: path.buffered)
    }
}
