import MirrorEngine
import MirrorSystem
import SystemPackage

/// An image that a guest has open. Node and flags are what a restarted worker opens it again with.
final class OpenFile: Sendable {
    let node: Node
    let flags: OpenFlags
    /// Carries the guest's access mode, O_SYNC and O_DSYNC, and nothing else.
    let descriptor: FileDescriptor
    let image: Image

    init(node: Node, flags: OpenFlags, descriptor: FileDescriptor, image: Image) {
        self.node = node
        self.flags = flags
        self.descriptor = descriptor
        self.image = image
    }

    deinit { try? descriptor.close() }
}
