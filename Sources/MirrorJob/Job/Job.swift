import Dispatch
import Logging
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

/// The mirroring of one image, or of several as a group, to one target.
///
/// A serial queue runs the state machine (`JobMachine`) and decides what is copied when; it never makes a
/// call that may block on the target. Lanes copy; `clerk` opens, scans, flushes and renames. All come back
/// to the queue with what happened.
///
/// | look for | in |
/// |---|---|
/// | an image with its twin and its table | `Member.swift` |
/// | what is refused at the start | `JobParts.swift` |
/// | how it starts | `Job+Start.swift` |
/// | how much the guest is spared | `Job+Pace.swift` |
/// | what is copied when | `Job+Copy.swift`; what a lane does with it: `Lane.swift` |
/// | whether guest writes go to the twin at once | `Job+Forwarding.swift` |
/// | how it stops before the target is full | `Job+Space.swift` |
/// | a guest's flush that means the twin too | `Job+GuestFlush.swift` |
/// | hold, flush, publication | `Job+Cut.swift` |
/// | what comes right before and after a cut | `Job+Hooks.swift` |
/// | comparing while the guest runs | `Job+Verify.swift`, `Verification.swift` |
/// | what may differ after a power cut | `Job+Intent.swift` |
/// | errors and what becomes of them | `Job+Errors.swift` |
/// | the end | `Job+End.swift` |
/// | what is kept for a restart, and how it goes on after one | `Job+Record.swift`, `Job+Resume.swift`, `Job+Suspend.swift` |
/// | commands | `Job+Commands.swift` |
/// | what the twin is worth while the job stands still | `Job+Standstill.swift` |
/// | what the status says | `Job+Report.swift` |
///
/// `@unchecked Sendable`: every `var` is touched on `queue` only.
final class Job: @unchecked Sendable {
    let id: [UInt8]
    /// The image named first, then the others; at least one.
    let members: [Member]
    let parameters: JobParameters
    let services: JobServices
    /// Names this job, and no other anywhere.
    let uuid: String
    /// Seconds since 1970.
    let created: Int
    /// What an earlier life has left; nil for a job that began in this one.
    let past: Resumption?

    let queue: DispatchQueue
    /// Runs the target's slow calls beside the copy, one at a time.
    let clerk: DispatchQueue
    private(set) lazy var wakeSource = DispatchSource.makeUserDataAddSource(queue: queue)

    var machine: JobMachine
    /// What goes on beside the queue.
    var underWay = Activities()
    var limit: RateLimit
    var pace: Pace
    var space: Space
    var progress = Progress()
    var maxPause: Int

    /// As asked for; `isForwarding` says what is done.
    var copyMode: JobParameters.CopyMode
    var copyModeControl = CopyModeControl()
    /// Milliseconds; 0 is off.
    var writeTimeout: Int
    var isWatchingForwards = false
    var isWatchingConvergence = false
    /// A forwarded write took too long: background, until `copy-mode` is set again.
    var isFallenBack = false
    /// Bytes that guests had written to the tables or to the twins at the last sample.
    var lastForwarded = 0

    var bytesSinceFlush = 0
    /// Of guests, with `fsync=both`.
    var guestFlushes = GuestFlushes()
    /// Failed flushes. What was written while one failed may be lost: it does not count as copied.
    let flushFailures = Atomic<Int>(0)
    /// The flush that is under way began before source and twin agreed: another has to follow.
    var mustFlushAgain = false

    var idleLanes: [Lane]
    var gathering = Gathering()
    /// Which wait for `speed` or `pace`, or until more has gathered, is the valid one.
    var throttleNumber = 0

    /// The member whose extents are taken now.
    var current = 0
    var passes = 0
    /// Something was taken since the pass began.
    var hasTaken = false
    /// The verification that is under way.
    var verification: Verification?
    /// The last one, for the status.
    let lastVerification = Mutex<Verification?>(nil)
    /// Bytes of what it found and nobody has had copied again.
    var findings = 0
    /// Something is known to differ that no mark tells of. For other threads.
    let hasFindings = Atomic<Bool>(false)

    /// The extent that failed last, until it is copied after all.
    var troubled: (member: Member, extent: Range<Int>)?
    /// What else failed and has not succeeded since.
    var troubledEfforts: Set<Effort> = []

    /// Runs `pre-cut` and `post-cut`.
    let hook: CutHook
    /// While `cut=flush` waits for a guest's flush.
    var flushWatch: FlushWatch?

    /// The checkpoints that existed when source and twin agreed last, for each member.
    var cutCheckpoints: [[String]] = []
    var heldSince: ContinuousClock.Instant?
    var holdCount = 0
    var nextHold = ContinuousClock.now
    var isTicking = false
    var hasToldReady = false
    /// What the last JOB_STATUS_CHANGE said.
    var toldStatus: JobStatus?
    /// No change of the images is marked for this job any more.
    var isDetached = false
    /// Its end has been told.
    var isConcluded = false
    /// Sources and twins are closed.
    var isLetGo = false
    /// Called once the job is off its images.
    var whenEnded: (@Sendable () -> Void)?
    /// The same as `machine.isOver`, for other threads.
    private let ended = Atomic<Bool>(false)

    /// The write-intent logs.
    var intentCare: IntentCare
    /// Why they are not kept. For other threads.
    let intentWarning = Mutex<String?>(nil)
    /// `parameters` with what `set` has changed since.
    var settings: JobParameters
    /// Which mount of the job this is; while it is being raised, what the twins may say already.
    var generation = 1
    var nextGeneration: Int?
    /// What was kept last.
    var keptRecord: [UInt8] = []
    /// `pre-cut` was run, and `post-cut` was not.
    var isFrozen = false
    /// What the next mount goes on from, once this one ends.
    var suspension: JobRecord?
    /// How the job came back: the status' word.
    var resumed = ReturnProof.no
    /// What was left to copy then.
    var resumedBytes: Int?
    /// Attempts to open the twins again that have failed.
    var reopenings = 0

    /// Whether the twin is a past state of the image.
    var standstill = Standstill()
    var counts = Counts()
    let snapshot: Mutex<JobReport>

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

    init(_ parts: JobParts, id: [UInt8], services: JobServices) {
        self.id = id
        self.services = services
        intentCare = IntentCare(
            queue: DispatchQueue(label: "twinfs.intent.clear", qos: .utility))
        let parameters = parts.parameters
        (self.parameters, settings) = (parameters, parameters)
        (uuid, created, past) = (parts.uuid, parts.created, parts.past)
        members = parts.members.enumerated().map { index, member in
            let tables = MemberTables(
                parts.uuid, index, parameters, member.image, services.keptBy, services.log)
            return Member(member, parameters, tables)
        }
        machine =
            parts.past.map { JobMachine(parameters, resuming: $0.record.resumed) }
            ?? JobMachine(parameters)
        limit = RateLimit(bytesPerSecond: parameters.speed)
        pace = Pace(parameters)
        space = Space(parameters)
        maxPause = parameters.maxPause
        copyMode = parameters.copyMode
        writeTimeout = parameters.writeTimeout
        hook = CutHook(timeout: .milliseconds(parameters.cutTimeout))
        let name = NameText.shown(id)
        // Apart from the lanes: a class of service has threads of its own, and targets that hang must not
        // use up those that lift holds.
        queue = DispatchQueue(label: "twinfs.job.\(name)", qos: .userInitiated)
        clerk = DispatchQueue(label: "twinfs.clerk.\(name)", qos: .utility)
        let lanes = max(1, min(Self.mostLanes, parameters.bufferSize / Lane.largestPiece))
        let size = parameters.bufferSize
        idleLanes = (0..<lanes).map { Lane(label: "twinfs.lane\($0).\(name)", bufferSize: size) }
        let target = parts.members[0].twin.place.name
        snapshot = Mutex(
            JobReport(
                id: name, images: parts.members.map { shown($0.path) }, target: target))
    }

    /// Operations in flight at most (QEMU's mirror: 16, of up to 1 MiB too).
    static let mostLanes = 8
    /// Bytes after which the target is flushed on the way, off the copy path.
    static let flushInterval = 256 << 20

    /// Whether the job sees events and may act on them.
    var isRunning: Bool { !machine.isOver && machine.phase != .created }
    var isDelta: Bool { parameters.isDelta }
    var granularity: Granularity { parameters.granularity }
    /// Bytes that wait for the copier or are with it.
    var remaining: Int { members.reduce(0) { $0 + $1.remaining } }

    /// Any thread: whether one of its images has this path now.
    func mirrors(_ path: [UInt8]) -> Bool { members.contains { $0.image.path.bytes == path } }

    /// Any thread: whether the job is over.
    var hasEnded: Bool { ended.load(ordering: .acquiring) }
    func markEnded() { ended.store(true, ordering: .releasing) }

    /// Any thread: makes the queue look at the tables. Many wakes are one.
    func wake() { wakeSource.add(data: 1) }
}

/// What a job needs of its mount.
struct JobServices: Sendable {
    let permits: Permits
    let forwardPermits: Permits
    let records: JobRecords
    let log: Logger
    /// Who holds what the next worker needs; nil where the jobs end with this one.
    let keptBy: (any Keeper)?
    /// Write-intent logs let everything pass and are believed all the same.
    let ignoresIntents: Bool
    /// `IntentCare.period`, but for tests.
    let intentPeriod: Duration
    /// Tells an event of the job: QEMU's name, and what belongs to it.
    let tell: @Sendable (EventLog.Name, JobReport) -> Void
    /// The job is over: its images and its place among the live ones are free.
    let ended: @Sendable (Job) -> Void
    /// Serves images from their twins. Blocks; on the clerk.
    let switchOver: @Sendable ([Move]) throws(CommandError) -> Void
    /// The twin that serves an image; nil where its own file does.
    let servingPath: @Sendable (Image) -> FilePath?
    /// The ids of the checkpoints that mark every change of an image now.
    let checkpoints: @Sendable (Image) -> [String]
}
