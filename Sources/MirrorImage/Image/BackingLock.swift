import MirrorSystem
import Synchronization
package import SystemPackage

/// The exclusive lock on an image's backing file, held by an open file of its own for as long as
/// anybody needs it. Locks that guests take through the mount stay in the kernel and never meet it.
package final class BackingLock: Sendable {
    /// Protects the descriptor and the count, also over open and close, which the next taker has to
    /// wait for. The status never takes it.
    private let state = Mutex<(users: Int, descriptor: FileDescriptor?)>((0, nil))

    /// - Throws: `.resourceBusy` where another process holds a lock on the file.
    func take(_ backing: FilePath) throws(Errno) {
        try state.withLock { (state) throws(Errno) in
            if state.users == 0 { state.descriptor = try Self.lock(backing) }
            state.users += 1
        }
    }

    /// Counts a user that has to do without the lock.
    func goWithout() { state.withLock { $0.users += 1 } }

    func drop() {
        state.withLock { state in
            state.users -= 1
            guard state.users == 0 else { return }
            try? state.descriptor?.close()
            state.descriptor = nil
        }
    }

    /// The image goes on on another file. Takes over `descriptor`, which has its lock
    /// already.
    package func move(to descriptor: FileDescriptor) {
        state.withLock { state in
            let old = state.descriptor
            state.descriptor = state.users == 0 ? nil : descriptor
            try? (state.users == 0 ? descriptor : old)?.close()
        }
    }

    /// Nil where nobody can write the file, so that nobody has to be kept from it.
    private static func lock(_ backing: FilePath) throws(Errno) -> FileDescriptor? {
        let descriptor: FileDescriptor
        do throws(Errno) {
            // On a block device O_EXCL keeps others from mounting it. On a file it means nothing
            // here.
            let isDevice = try backing.status().kind == .blockDevice
            descriptor = try FileDescriptor.openBacking(
                backing, .writeOnly, isDevice ? .exclusiveCreate : [])
        } catch .readOnlyFileSystem, .permissionDenied, .notPermitted, .textFileBusy {
            return nil
        }
        do throws(Errno) {
            try descriptor.lockExclusively()
            return descriptor
        } catch {
            try? descriptor.close()
            throw error == .resourceTemporarilyUnavailable ? .resourceBusy : error
        }
    }
}
