import CFuse
import Synchronization

/// What the kernel gives to be woken by, once; given back at the end of its life.
///
/// `@unchecked Sendable`: libfuse lets any thread use it.
final class PollHandle: @unchecked Sendable {
    private let raw: OpaquePointer?

    /// Nil where the kernel does not ask to be woken.
    init(_ raw: OpaquePointer?) { self.raw = raw }

    deinit { if let raw { fuse_pollhandle_destroy(raw) } }

    func wake() { if let raw { fuse_lowlevel_notify_poll(raw) } }
}

/// Who waits for the next event.
final class Pollers: Sendable {
    /// Nothing is called under it.
    private let waiting = Mutex<[ObjectIdentifier: PollHandle]>([:])

    /// Keeps the handle, instead of an earlier one of the same open file.
    func wait(_ handle: PollHandle, for file: OpenControlFile) {
        _ = waiting.withLock { $0.updateValue(handle, forKey: ObjectIdentifier(file)) }
    }

    func remove(_ file: OpenControlFile) {
        _ = waiting.withLock { $0.removeValue(forKey: ObjectIdentifier(file)) }
    }

    /// Wakes everybody. Does not block.
    func wake() {
        let handles = waiting.withLock { waiting in
            defer { waiting = [:] }
            return Array(waiting.values)
        }
        for handle in handles { handle.wake() }
    }
}
