import MirrorCore
import MirrorSystem
import Synchronization

// On the job's queue: what a member's twin has that is not durable yet.

extension Member {
    /// A flush begins: it covers everything that was written to the target so far.
    func beginFlush() { unflushed.drain(into: flushing) }

    /// It went well. What had failed before is over once nothing is left of it.
    func flushed() {
        flushing.forgetAll(from: 0)
        if remaining == 0, unflushed.isClean {
            flushLost.store(false, ordering: .sequentiallyConsistent)
        }
    }

    /// Everything written since the last good flush is dirty again, and is not compared: the page
    /// cache may have the new bytes of a page that was lost, and not write it again.
    package func flushFailed() {
        loseFlush()
        // A mark under way may stand where `drain` does not look yet.
        while unflushed.hasOwnMarks { PlainThread.sleep(.microseconds(10)) }
        unflushed.drain(into: flushing)
        markAgain(flushing)
        flushing.forgetAll(from: 0)
    }

    /// Any thread.
    var hasLostFlush: Bool { flushLost.load(ordering: .sequentiallyConsistent) }
    func lostFlush() { flushLost.store(true, ordering: .sequentiallyConsistent) }

    private func loseFlush() {
        lostFlush()
        if firstPass == .compare { firstPass = .everything }
    }

    /// After the death of a worker: what it had not flushed is dirty again, whatever a flush says
    /// now. The dead one may have been told of a failure already, or the target's machine may have
    /// died too.
    func markUnflushed() {
        let wasFlushing = !flushing.isClean
        if wasFlushing || hasLostFlush { loseFlush() }
        markAgain(flushing)
        markAgain(unflushed)
    }

    private func markAgain(_ written: DirtyTable) {
        for extent in written.dirtyExtents(limit: .max) { table.markUncounted(extent) }
    }
}
