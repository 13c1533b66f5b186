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

    /// Counts a job in, and takes the lock on the backing file for as long as it lives.
    ///
    /// - Throws: `imageBusy` while the kernel serves readers past us, or another process has the backing
    ///   file locked; `badState` where the image has a job.
    func beginJob(backing: FilePath) throws(CommandError) {
        let refusal = state.withLock { $0.beginJob(backing) }
        if let refusal { throw refusal }
    }

    func endJob() {
        state.withLock { state in
            state.jobs -= 1
            state.dropLockIfUnused()
        }
    }
}

extension ImageState {
    fileprivate mutating func beginJob(_ backing: FilePath) -> CommandError? {
        guard jobs == 0 else {
            return CommandError(
                .badState,
                "image \(shown(path)): has a job already, and several jobs on one image are not built yet:"
                    + " cancel or complete that one first")
        }
        guard pins == 0 else {
            return CommandError(
                .imageBusy,
                "image \(shown(path)): \(pins) readers have it open past the daemon (passthrough), so a"
                    + " later writer might not be tracked; close them first, or start the job before they open"
            )
        }
        do throws(Errno) {
            try takeLock(backing)
        } catch .readOnlyFileSystem, .permissionDenied, .notPermitted, .textFileBusy {
            // Nobody can write the backing file, so nobody has to be kept from it.
        } catch {
            return CommandError(
                .imageBusy,
                "image \(shown(path)): another process has its file open and locked behind the mount;"
                    + " end that process first")
        }
        jobs += 1
        return nil
    }

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
