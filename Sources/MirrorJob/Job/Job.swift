package import Dispatch
package import Logging
package import MirrorCore
package import MirrorImage
package import MirrorState
package import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

/// The mirroring of one image, or of several as a group, to one target.
///
/// A serial queue runs the state machine (`JobMachine`) and decides what is copied when; it never
/// makes a call that may block on the target. Lanes copy; `clerk` opens, scans, flushes and
/// renames. All come back to the queue with what happened.
///
/// The job itself has what all share. Each part owns its state and the methods that work on it, and
/// asks the others.
///
/// | look for | in |
/// |---|---|
/// | an image with its twin and its tables | `Member.swift` |
/// | what is refused at the start | `JobPlan.swift` |
/// | how it starts | `Job+Start.swift` |
/// | what it does next | `Job+Advance.swift` |
/// | what may be under way beside what | `Activities` |
/// | how the queue is left and come back to | `Job+Clerk.swift` |
/// | commands | `Job+Commands.swift` |
/// | what is copied when, how much the guest is spared, room on the target | `Copier` |
/// | what a lane does with it | `Lane.swift` |
/// | whether guest writes go to the twin at once | `Forwarding` |
/// | what makes the twin durable, and a guest's flush that means the twin too | `TwinFlush` |
/// | what may differ after a power cut | `IntentCare` |
/// | hold, publication, switch-over, hooks before and after a cut | `CutAttempt` |
/// | comparing while the guest runs | `Verifying`, `Verification` |
/// | what the twin is worth while the job stands still | `Standing` |
/// | errors and what becomes of them | `Trouble` |
/// | how it goes on after a restart | `Comeback` |
/// | the end, and what is left for the next mount | `Farewell` |
/// | what the status and the events say, what is kept for a restart | `JobTelling` |
///
/// `@unchecked Sendable`: every `var` is touched on `queue` only, its parts' too (`assertOnQueue`).
package final class Job: @unchecked Sendable {
    let identity: JobIdentity
    /// The image named first, then the others; at least one.
    package let members: [Member]
    package let services: JobServices
    private let queues: JobQueues
    private(set) lazy var wakeSource = DispatchSource.makeUserDataAddSource(queue: queue)

    var machine: JobMachine
    /// As asked for, with what `set` has changed since. The one truth: what has to keep a rate of
    /// its own takes it from here.
    var settings: JobParameters
    /// What goes on beside the queue.
    var underWay = Activities()
    var counts = Counts()

    // The parts. Made at the end of `init`, as each knows the job.
    private(set) var copier: Copier!
    private(set) var forwarding: Forwarding!
    private(set) var twinFlush: TwinFlush!
    package private(set) var intentCare: IntentCare!
    private(set) var cutAttempt: CutAttempt!
    private(set) var verifying: Verifying!
    private(set) var standing: Standing!
    private(set) var trouble: Trouble!
    package private(set) var comeback: Comeback!
    private(set) var farewell: Farewell!
    private(set) var telling: JobTelling!

    /// What the job has done so far, for the status.
    struct Counts {
        var total = 0
        var copied = 0
        var zeroes = 0
        var sourceErrors = 0
        var targetErrors = 0
        var lastPause: Int?
        var error: String?
        var cutTime: Int?
    }

    package init(_ parts: JobPlan, id: [UInt8], services: JobServices) {
        identity = JobIdentity(
            id: id, uuid: parts.uuid, created: parts.created, asked: parts.parameters)
        self.services = services
        let parameters = parts.parameters
        settings = parameters
        members = parts.members.enumerated().map { index, member in
            let tables = MemberTables(
                parts.uuid, index, parameters, member.image, services.keptBy, services.log)
            return Member(member, parameters, tables)
        }
        machine =
            parts.past.map { JobMachine(parameters, resuming: $0.record.resumed) }
            ?? JobMachine(parameters)
        queues = JobQueues(NameText.shown(id))
        makeParts(parts)
    }

    private func makeParts(_ parts: JobPlan) {
        (copier, forwarding, twinFlush) = (Copier(self), Forwarding(self), TwinFlush(self))
        (intentCare, cutAttempt) = (IntentCare(self), CutAttempt(self))
        (verifying, standing, trouble) = (Verifying(self), Standing(self), Trouble(self))
        (comeback, farewell) = (Comeback(self, parts.past), Farewell(self))
        telling = JobTelling(
            self,
            JobReport(
                id: NameText.shown(id), images: parts.members.map { shown($0.path) },
                target: parts.members[0].twin.place.name))
    }

    package var id: [UInt8] { identity.id }
    package var uuid: String { identity.uuid }
    var created: Int { identity.created }
    /// As asked for, for what `set` cannot change. Any thread.
    package var asked: JobParameters { identity.asked }
    /// Everything that changes of the job and its parts does so here.
    package var queue: DispatchQueue { queues.main }
    /// Runs the target's slow calls beside the copy, one at a time.
    var clerk: DispatchQueue { queues.clerk }

    /// Whether the job sees events and may act on them.
    package var isRunning: Bool { !machine.isOver && machine.phase != .created }
    var isDelta: Bool { asked.isDelta }
    var granularity: Granularity { asked.granularity }
    /// Bytes that wait for the copier or are with it.
    var remaining: Int { members.reduce(0) { $0 + $1.remaining } }

    /// Any thread: whether one of its images has this path now.
    package func mirrors(_ path: [UInt8]) -> Bool {
        members.contains { $0.image.path.bytes == path }
    }

    /// Any thread: whether the job is over.
    package var hasEnded: Bool { farewell.hasEnded }

    /// What the status says. Any thread; never waits for the queue.
    package func report() -> JobReport { telling.report() }

    /// Any thread: makes the queue look at the tables. Many wakes are one.
    package func wake() { wakeSource.add(data: 1) }
}

/// What a job is from its beginning to its end.
struct JobIdentity: Sendable {
    package let id: [UInt8]
    /// Names this job, and no other anywhere.
    package let uuid: String
    /// Seconds since 1970.
    package let created: Int
    /// As asked for: `set` changes `Job.settings`.
    let asked: JobParameters
}

/// Where a job runs.
private struct JobQueues {
    let main: DispatchQueue
    let clerk: DispatchQueue

    init(_ name: String) {
        // Apart from the lanes: a class of service has threads of its own, and targets that hang
        // must not use up those that lift holds.
        main = DispatchQueue(label: "twinfs.job.\(name)", qos: .userInitiated)
        clerk = DispatchQueue(label: "twinfs.clerk.\(name)", qos: .utility)
    }
}

/// What a job needs of its mount.
package struct JobServices: Sendable {
    package let permits: Permits
    package let forwardPermits: Permits
    package let records: JobRecords
    package let log: Logger
    /// Who holds what the next worker needs; nil where the jobs end with this one.
    package let keptBy: (any Keeper)?
    /// Write-intent logs let everything pass and are believed all the same.
    package let ignoresIntents: Bool
    /// `IntentCare.period`, but for tests.
    package let intentPeriod: Duration
    /// Tells an event of the job: QEMU's name, and what belongs to it.
    package let tell: @Sendable (EventLog.Name, JobReport) -> Void
    /// The job is over: its images and its place among the live ones are free.
    package let ended: @Sendable (Job) -> Void
    /// Serves images from their twins. Blocks; on the clerk.
    package let switchOver: @Sendable ([Move]) throws(CommandError) -> Void
    /// The twin that serves an image; nil where its own file does.
    package let servingPath: @Sendable (Image) -> FilePath?
    /// The ids of the checkpoints that mark every change of an image now.
    package let checkpoints: @Sendable (Image) -> [String]

    package init(
        permits: Permits, forwardPermits: Permits, records: JobRecords, log: Logger,
        keptBy: (any Keeper)?, ignoresIntents: Bool, intentPeriod: Duration,
        tell: @escaping @Sendable (EventLog.Name, JobReport) -> Void,
        ended: @escaping @Sendable (Job) -> Void,
        switchOver: @escaping @Sendable ([Move]) throws(CommandError) -> Void,
        servingPath: @escaping @Sendable (Image) -> FilePath?,
        checkpoints: @escaping @Sendable (Image) -> [String]
    ) {
        (
            self.permits, self.forwardPermits, self.records, self.log, self.keptBy,
            self.ignoresIntents, self.intentPeriod, self.tell, self.ended, self.switchOver,
            self.servingPath, self.checkpoints
        ) = (
            permits, forwardPermits, records, log, keptBy, ignoresIntents, intentPeriod, tell,
            ended, switchOver, servingPath, checkpoints
        )
    }
}
