import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget
import Synchronization
import SystemPackage

/// The end of a job, and what is left for the next mount.
///
/// ```
/// living ─▶ detached ──quiet──▶ closing ──closed──▶ gone
///              │                                     ▲
///              └──a second──▶ told ──quiet───────────┘
/// ```
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class Farewell: @unchecked Sendable {
    enum State: Sendable {
        /// Changes of the images are marked for the job.
        case living
        /// No change of the images is marked for this job any more; something of it may still be
        /// under way.
        case detached
        /// Its end has been told although something hangs, with the twins open.
        case told
        /// Sources and twins are being closed; the end is told then.
        case closing
        /// Both.
        case gone
    }

    unowned let job: Job
    private(set) var state = State.living
    /// What the next mount goes on from, once this one ends.
    var suspension: JobRecord?
    /// Called once the job is off its images.
    var whenEnded: (@Sendable () -> Void)?
    /// Whether the job is over (`machine.isOver`), for other threads.
    private let ended = Atomic<Bool>(false)

    init(_ job: Job) { self.job = job }

    var isDetached: Bool { state != .living }
    /// Its end has been told.
    var isConcluded: Bool { state == .told || state == .gone }
    private var isLetGo: Bool { state == .closing || state == .gone }

    /// Any thread: whether the job is over.
    var hasEnded: Bool { ended.load(ordering: .acquiring) }

    /// The machine is in a final phase: no more holds, and no more marks once no write is under
    /// way.
    func finish() {
        job.cutAttempt.lift()
        if job.machine.phase == .completed { job.counts.error = nil }
        dropTables()
        detach(job.members[...])
    }

    /// Before a change is missed: a worker that dies from here on must not leave tables that could
    /// be believed, as long as the record does not say that the job is over.
    private func dropTables() {
        guard suspension == nil, let keeper = job.services.keptBy else { return }
        MemberTables.drop(job.uuid, job.members.count, keeper)
    }

    private func detach(_ rest: ArraySlice<Member>) {
        guard let member = rest.first else {
            state = .detached
            // A target that hangs keeps the twins open, but not the job alive.
            if suspension == nil {
                job.queue.asyncAfter(deadline: .now() + .seconds(1)) { [job = job] in
                    job.farewell.conclude()
                }
            }
            return concludeIfQuiet()
        }
        let image = member.image
        image.twinFlushes.remove(job)
        image.quiesce(on: job.queue) { [job = job] in
            image.trackers.remove(member.table)
            job.farewell.detach(rest.dropFirst())
        }
    }

    /// Concludes as soon as nothing of the job is under way on sources and twins, and all are
    /// closed.
    func concludeIfQuiet() {
        guard isDetached, !isLetGo, job.underWay.isQuiet,
            job.members.allSatisfy({ $0.forwarder?.isIdle ?? true })
        else { return }
        state = state == .told ? .gone : .closing
        job.copier.dropLanes()
        let isWorthless = job.standing.worth == .inconsistent
        let isSuspended = suspension != nil
        let end = endStamp
        job.askClerk { [self] in
            if isWorthless { for member in job.members { member.twin.annotate(.inconsistent) } }
            if let end {
                for member in job.members {
                    member.twin.file?.stampEnd(end, isDurable: !isWorthless)
                }
            }
            if isSuspended { saveMarks() }
            for member in job.members {
                if isSuspended { member.intents?.suspend() } else { member.dropIntents() }
                member.image.unfollow(member.source)
                member.close()
            }
        } then: { [self] in
            conclude()
            // The report is made; the pages are not needed any more.
            for member in job.members {
                member.table.forgetAll(from: 0)
                member.unflushed.forgetAll(from: 0)
                member.flushing.forgetAll(from: 0)
            }
        }
    }

    /// What the twins say from here on: the record may not be durable when the end is told, and a
    /// job whose end was told must not write them again. Nil where the job goes on with the next
    /// mount, or its twins are images now.
    private var endStamp: String? {
        let serves = job.machine.phase == .completed && job.machine.ending == .switchOver
        return suspension != nil || serves ? nil : JobStamp.end(job.uuid, job.machine.phase)
    }

    /// Tells the end: what a person does next with image and twin finds them free.
    private func conclude() {
        guard !isConcluded else { return }
        state = state == .closing ? .gone : .told
        for member in job.members { member.image.endJob() }
        // Whoever is told of the end may use the twin: a restart must not go on writing it.
        job.keep { [self] in tellConcluded() }
    }

    private func tellConcluded() {
        dropTables()
        ended.store(true, ordering: .releasing)
        if suspension == nil {
            job.telling.publish()
            tellStatus()
            job.services.tell(
                job.machine.phase == .cancelled ? .cancelled : .completed, job.report())
        }
        job.services.ended(job)
        tellEnd()
    }

    /// As in QEMU a job that did not succeed passes through `aborting`.
    private func tellStatus() {
        var report = job.report()
        if job.machine.phase != .completed {
            report.status = .aborting
            job.services.tell(.statusChange, report)
            report.status = job.machine.status
        }
        job.services.tell(.statusChange, report)
    }

    /// Calls `told` once the job is off its images: now, and false is returned, where it is so
    /// already.
    func awaitEnd(_ told: @escaping @Sendable () -> Void) -> Bool {
        whenEnded = told
        if isConcluded { tellEnd() }
        return !isConcluded
    }

    /// Tells whoever waits for the end of the mount.
    private func tellEnd() {
        guard let told = whenEnded.take() else { return }
        // A guest that `pre-cut` has frozen is thawed before the daemon ends.
        job.cutAttempt.afterHooks(told)
    }

    /// The mount ends and the job has fallen back to ready: the twin is to be worth something all
    /// the same.
    func endAgainAtShutDown() {
        guard whenEnded != nil, job.machine.phase == .ready else { return }
        job.perform(job.machine.handle(.end(.soft)))
    }
}
