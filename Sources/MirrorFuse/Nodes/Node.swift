import MirrorSystem
import Synchronization
import SystemPackage

/// A file, directory or link that the kernel knows by number.
///
/// The O_PATH descriptor pins the inode: as long as the node lives, no other file can have its
/// identity.
final class Node: Sendable {
    /// Never given to another file, also not by a restarted worker.
    let id: UInt64
    let identity: FileIdentity
    let isRegular: Bool
    /// O_PATH, without following a link.
    let descriptor: FileDescriptor
    /// Whether a write must look for set-id bits to clear; as of the last look at the attributes.
    let hasSetID: Atomic<Bool>
    let opening = Mutex(OpenMode())

    init(id: UInt64, descriptor: FileDescriptor, attributes: FileAttributes) {
        self.id = id
        self.descriptor = descriptor
        identity = attributes.identity
        isRegular = attributes.isRegular
        hasSetID = Atomic(attributes.hasSetID)
    }

    deinit { try? descriptor.close() }

    /// Its attributes now.
    func attributes() throws(Errno) -> FileAttributes {
        let attributes = try descriptor.attributes()
        hasSetID.store(attributes.hasSetID, ordering: .relaxed)
        return attributes
    }
}
