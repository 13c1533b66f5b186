package import MirrorSystem
import Synchronization
package import SystemPackage

/// The descriptors through which an image's bytes are reached, so that a switch-over can make them
/// stand for another file: the guests' handles, and what jobs read from.
///
/// A number stays the same for as long as its owner has it. Reads and writes need not look here: a
/// call that is under way goes on with the file that it began with.
package final class OpenHandles: Sendable {
    package struct Handle {
        package let descriptor: FileDescriptor
        package let flags: OpenFlags
        /// Whether it is a handle's way past the page cache, and stays so where the other file can
        /// do that.
        package let isDirect: Bool
    }

    /// Protects the list. Held over `dup3(2)` of a switch-over: a number is taken out of the list
    /// before it is closed, so it is never another file's by then. On local filesystems that call
    /// does not wait; a network filesystem may write back there what the handle wrote, and opens
    /// and closes wait for it.
    private let handles = Mutex<[Handle]>([])

    package var all: [Handle] { handles.withLock { $0 } }

    /// Both numbers of a handle at once: a switch-over moves both, or none.
    package func add(_ path: DataPath, _ flags: OpenFlags) {
        handles.withLock { handles in
            handles.append(Handle(descriptor: path.buffered, flags: flags, isDirect: false))
            guard let direct = path.direct else { return }
            handles.append(Handle(descriptor: direct, flags: flags, isDirect: true))
        }
    }

    func remove(_ path: DataPath) {
        handles.withLock { handles in
            handles.removeAll { $0.descriptor == path.buffered || $0.descriptor == path.direct }
        }
    }

    /// Makes each of these numbers that is still open stand for its other file.
    package func swap(_ replacements: [(old: FileDescriptor, new: FileDescriptor)]) {
        handles.withLock { handles in
            for (old, new) in replacements where handles.contains(where: { $0.descriptor == old }) {
                new.replace(old)
            }
        }
    }
}
