import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

// On the job's queue: what is kept of the job for a restart (docs/state.md).

extension Job {
    /// Whether the job comes back after a restart.
    var isKept: Bool { services.records.directory != nil }
    package func keep() { telling.keep() }
    package func keep(then done: @escaping @Sendable () -> Void) { telling.keep(then: done) }
    func record() -> JobRecord { telling.record() }
}

extension JobTelling {
    /// Longest that the answer to a command waits for the state directory.
    private static let patience = DispatchTimeInterval.seconds(5)

    /// Keeps the job as it is now, off this job.queue; nothing is done where nothing has changed.
    package func keep() {
        guard job.isKept, job.farewell.suspension == nil, !job.machine.isOver else { return }
        let record = record()
        let bytes = record.bytes
        if bytes == keptRecord { return }
        keptRecord = bytes
        job.services.records.save(record)
    }

    /// On the clerk: the job as it is now, durable when this returns true.
    func keepNow() -> Bool {
        if !job.isKept { return true }
        let record = job.queue.sync { job.farewell.suspension ?? self.record() }
        return job.services.records.saveNow(record)
    }

    /// Saves the record and calls `done` on the job's queue when it is durable, or when it has
    /// taken too long.
    package func keep(then done: @escaping @Sendable () -> Void) {
        guard job.isKept else { return done() }
        let record = job.farewell.suspension ?? record()
        keptRecord = record.bytes
        // The job and its parts live until then.
        let once = FirstCall { [job = job] in withExtendedLifetime(job) { done() } }
        job.services.records.save(record) { [queue = job.queue] in
            queue.async { once.run() }
        }
        job.queue.asyncAfter(deadline: .now() + Self.patience) { once.run() }
    }

    /// The job as it is now.
    package func record() -> JobRecord {
        var record = JobRecord(
            uuid: job.uuid, generation: job.comeback.generation, next: job.comeback.nextGeneration,
            id: NameText.shown(job.id),
            created: job.created, parameters: JobRecord.texts(job.settings),
            members: job.members.map(kept), phase: job.machine.phase)
        (record.wasReady, record.paused) = (job.machine.wasReady, job.machine.isPaused)
        record.ending = job.machine.ending == .now ? nil : job.machine.ending
        record.frozen = job.cutAttempt.isFrozen
        record.verify = keptVerification
        (record.total, record.copied, record.zeroes) = (
            job.counts.total, job.counts.copied, job.counts.zeroes
        )
        if job.machine.isOver { record.ended = newReport() }
        return record
    }

    private func kept(_ member: Member) -> JobRecord.Member {
        var kept = member.kept
        (kept.image, kept.length) = (shown(member.image.path), member.knownLength)
        if member.firstPass == .everything { kept.firstPass = .everything }
        kept.lostFlush = member.hasLostFlush ? true : nil
        return kept
    }

    /// What a job that comes back has not judged yet stays as it was.
    private var keptVerification: VerifyState? {
        if job.machine.isResuming { return job.comeback.past?.record.verify }
        if job.verifying.hasFindings { return .found }
        return job.underWay.has(.verify) ? .running : nil
    }
}
