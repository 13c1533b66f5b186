import Dispatch
import MirrorCore
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

// On the job's queue: the mount ends in order, and the job goes on at the next one. What differs
// then is saved as exact marks, which that mount believes if both sides are as they were (R10).

extension Farewell {
    /// A job that was in sync and is well agrees with its image first, so that its twin is
    /// consistent; every other one stops as it is. One that is about to end does so, where that is
    /// done in time.
    func suspend(within patience: Duration) {
        let isSound =
            job.machine.wasReady && !job.machine.isPaused && !job.machine.isResuming && !job.isDelta
        guard isSound else { return suspendNow() }
        let milliseconds = Int(patience / .milliseconds(1)) * 2 / 3
        job.later(.milliseconds(milliseconds)) { [self] _ in suspendNow() }
        if job.machine.isEnding { return }
        suspension = job.record()
        job.perform(job.machine.handle(.end(.soft)))
    }

    private func suspendNow() {
        if job.machine.isOver || job.machine.isCommitting { return }
        suspension = suspension ?? job.record()
        job.perform(job.machine.handle(.end(.now)))
    }

    /// On the clerk, before twins and images are closed: nothing of the job is under way on them.
    package func saveMarks() {
        for (index, member) in job.members.enumerated() {
            do throws(Errno) {
                guard let marks = try member.marks(job.uuid, index) else { continue }
                if !job.services.records.save(marks) { return }
            } catch {
                // The next mount finds no marks, and has to compare.
                continue
            }
        }
    }
}

extension Member {
    /// What differs, once both sides are durable: a power failure must not leave old bytes under
    /// the times of new ones. Nil where the twin keeps no times, or was not open.
    fileprivate func marks(_ job: String, _ index: Int) throws(Errno) -> JobExtents? {
        guard twin.isOpen, !twin.hasFixedSize, let file = twin.descriptor else { return nil }
        try twin.flush()
        try source.synchronize()
        let status = (source: try source.status(), twin: try file.status())
        guard status.source.kind == .regular, status.twin.kind == .regular else { return nil }
        return JobExtents(
            job, index, table, written: written, source: status.source, twin: status.twin)
    }
}
