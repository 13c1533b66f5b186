import MirrorCore
import MirrorSystem
import Synchronization
public import SystemPackage

extension Image {
    public enum Access: Sendable { case reading, writing }

    /// Counts a handle. The first writer takes the exclusive lock on the backing file, through
    /// `descriptor`'s own open file.
    ///
    /// - Throws: `.resourceBusy` where another process holds a lock on the backing file.
    public func opened(for access: Access, backing: FilePath) throws(Errno) {
        if access == .reading { return state.withLock { $0.readers += 1 } }
        try state.withLock { (state) throws(Errno) in
            try state.takeLock(backing)
            state.writers += 1
        }
    }

    /// Counts it out; the last one gives the lock back and forgets a failed flush.
    public func closed(for access: Access) {
        state.withLock { state in
            if access == .reading { state.readers -= 1 } else { state.writers -= 1 }
            state.dropLockIfUnused()
            if state.readers + state.writers == 0 { flushFailure.store(0, ordering: .relaxed) }
        }
    }

    /// Asks for a read-only open that the kernel serves past the daemon. Refused while somebody has the
    /// image open for writing or a job tracks it: a later shared mapping of such an inode goes to the
    /// backing file unseen, and R1 would not hold.
    public func pin() -> Bool {
        state.withLock { state in
            guard state.writers == 0, state.jobs == 0 else { return false }
            state.pins += 1
            return true
        }
    }

    public func unpin() { state.withLock { $0.pins -= 1 } }
}

extension ImageState {
    mutating func takeLock(_ backing: FilePath) throws(Errno) {
        if lock != nil { return }
        let descriptor = try FileDescriptor.openBacking(backing, .readWrite)
        do throws(Errno) {
            try descriptor.lockExclusively()
            lock = descriptor
        } catch {
            try? descriptor.close()
            throw error == .resourceTemporarilyUnavailable ? .resourceBusy : error
        }
    }

    mutating func dropLockIfUnused() {
        guard writers == 0, jobs == 0, let descriptor = lock else { return }
        lock = nil
        try? descriptor.close()
    }
}
