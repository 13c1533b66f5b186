package import MirrorCore
package import MirrorSystem
import Synchronization
public import SystemPackage

extension Image {
    public enum Access: Sendable { case reading, writing }

    /// Counts a handle. The first writer takes the exclusive lock on the file that serves the
    /// image.
    ///
    /// - Throws: `.resourceBusy` where another process holds a lock on it.
    /// - Parameter insists: a guest has the image open since before this process: it is counted
    ///   without the lock where that cannot be taken.
    /// - Returns: whether the lock is held where it is wanted.
    @discardableResult
    package func opened(
        _ path: DataPath, _ flags: OpenFlags, _ serving: FilePath,
        insists: Bool = false
    ) throws(Errno) -> Bool {
        var isLocked = true
        do throws(Errno) {
            if flags.writes { try lock.take(serving) }
        } catch {
            guard insists else { throw error }
            lock.goWithout()
            isLocked = false
        }
        state.withLock { if flags.writes { $0.writers += 1 } else { $0.readers += 1 } }
        handles.add(path, flags)
        return isLocked
    }

    /// An earlier process has seen a flush fail, and the image is open ever since: every flush
    /// fails.
    public func flushFailed(before error: Errno) {
        flushFailure.store(error.rawValue, ordering: .releasing)
    }

    /// Counts a reader again that the kernel serves past the daemon since before this process.
    public func pinAgain() { state.withLock { $0.pins += 1 } }

    /// Counts it out, before its descriptors are closed; the last one gives the lock back and
    /// forgets a failed flush.
    package func closed(_ path: DataPath, for access: Access) {
        handles.remove(path)
        state.withLock { state in
            if access == .reading { state.readers -= 1 } else { state.writers -= 1 }
            if state.readers + state.writers == 0 { flushFailure.store(0, ordering: .relaxed) }
        }
        if access == .writing { lock.drop() }
    }

    /// Asks for a read-only open that the kernel serves past the daemon. Refused while somebody has
    /// the image open for writing or a job tracks it: a later shared mapping of such an inode goes
    /// to the backing file unseen, and R1 would not hold.
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
    /// - Throws: `imageBusy` while the kernel serves readers past us, or another process has the
    ///   backing file locked.
    package func beginJob(backing: FilePath) throws(CommandError) {
        if let refusal = state.withLock({ $0.beginJob() }) { throw refusal }
        do throws(Errno) {
            try lock.take(backing)
        } catch {
            state.withLock { $0.jobs -= 1 }
            throw CommandError(
                .imageBusy,
                "image \(NameText.shown(path.bytes)): another process has its file open and locked behind the mount;"
                    + " end that process first")
        }
    }

    package func endJob() {
        state.withLock { $0.jobs -= 1 }
        lock.drop()
    }

    /// Before a descriptor that `Engine.follow` was told of is closed.
    package func unfollow(_ descriptor: FileDescriptor) {
        handles.remove(DataPath(buffered: descriptor))
    }
}

extension ImageState {
    fileprivate mutating func beginJob() -> CommandError? {
        guard pins == 0 else {
            return CommandError(
                .imageBusy,
                "image \(NameText.shown(path.bytes)): \(pins) readers have it open past the daemon (passthrough), so a"
                    + " later writer might not be tracked; close them first, or start the job before they open"
            )
        }
        jobs += 1
        return nil
    }
}
