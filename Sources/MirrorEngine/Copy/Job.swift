import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

/// The mirroring of one image to one target.
///
/// A serial queue runs the state machine (`JobMachine`) and decides what is copied when; it never makes a
/// call that may block on the target. Lanes copy; `clerk` opens, scans, flushes and renames. All come back
/// to the queue with what happened.
///
/// | look for | in |
/// |---|---|
/// | how it starts | `Job+Start.swift` |
/// | taking extents, what happens when a copy fails | `Job+Copy.swift` |
/// | agreement, hold, flush, publication, errors | `Job+Cut.swift` |
/// | the end | `Job+End.swift` |
/// | commands | `Job+Commands.swift` |
/// | what the status says | `Job+Report.swift` |
///
/// `@unchecked Sendable`: every `var` is touched on `queue` only, but `snapshot`, which has its lock.
final class Job: @unchecked Sendable {
    let id: [UInt8]
    let image: Image
    let parameters: JobParameters
    let twin: Twin
    let table: DirtyTable
    /// The backing file, for reading.
    let source: FileDescriptor
    let services: JobServices

    let queue: DispatchQueue
    /// Runs the target's slow calls beside the copy, one at a time.
    let clerk: DispatchQueue
    private(set) lazy var wakeSource = DispatchSource.makeUserDataAddSource(queue: queue)

    var machine: JobMachine
    var limit: RateLimit
    var progress = Progress()
    var maxPause: Int

    /// What was written to the target since its last good flush; dirty again if the next one fails.
    var unflushed: DirtyTable
    var bytesSinceFlush = 0
    /// What the twin of a `sync=none` job holds: its extent list. Nothing is ever taken from it.
    let written: DirtyTable?
    var isFlushing = false
    /// Failed flushes. What a lane wrote while one failed may be lost: it does not count as copied.
    var flushFailures = 0
    /// The flush that is under way began before source and twin agreed: another has to follow.
    var mustFlushAgain = false

    var idleLanes: [Lane]
    var busyLanes = 0
    /// The clerk sets the size or scans: nothing is taken meanwhile.
    var isClerkBusy = false
    /// Waiting for the speed limit.
    var isThrottled = false
    /// Which wait for the speed limit is the valid one.
    var throttleNumber = 0

    /// Where the next extent is looked for, in granules.
    var cursor = 0
    var passes = 0
    /// Size of the image when it was last given to the twin.
    var knownLength: UInt64

    var heldSince: ContinuousClock.Instant?
    var holdCount = 0
    var nextHold = ContinuousClock.now
    var isTicking = false
    var hasToldReady = false
    /// No change of the image is marked for this job any more.
    var isDetached = false
    /// Its end has been told.
    var isConcluded = false
    /// Source and twin are closed.
    var isLetGo = false
    /// Called once the job is off its image.
    var whenEnded: (@Sendable () -> Void)?
    /// The same as `machine.isOver`, for other threads.
    private let ended = Atomic<Bool>(false)

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
        var targetState = "inconsistent"
    }

    init(_ parts: JobParts, id: [UInt8], services: JobServices) {
        self.id = id
        self.services = services
        (image, twin, source) = (parts.image, parts.twin, parts.source)
        parameters = parts.parameters
        knownLength = parts.size
        table = DirtyTable(granularity: parameters.granularity, gauge: image.gate.gauge)
        unflushed = DirtyTable(granularity: parameters.granularity, gauge: WriteGauge())
        written =
            parameters.sync == .none
            ? DirtyTable(granularity: parameters.granularity, gauge: WriteGauge()) : nil
        machine = JobMachine(parameters)
        limit = RateLimit(bytesPerSecond: parameters.speed)
        maxPause = parameters.maxPause
        let name = NameText.shown(id)
        // Apart from the lanes: a class of service has threads of its own, and targets that hang must not
        // use up those that lift holds.
        queue = DispatchQueue(label: "twinfs.job.\(name)", qos: .userInitiated)
        clerk = DispatchQueue(label: "twinfs.clerk.\(name)", qos: .utility)
        let lanes = max(1, min(Self.mostLanes, parameters.bufferSize / Lane.largestPiece))
        let size = parameters.bufferSize
        idleLanes = (0..<lanes).map { Lane(label: "twinfs.lane\($0).\(name)", bufferSize: size) }
        snapshot = Mutex(
            JobReport(id: name, images: [shown(parts.path)], target: parts.twin.place.name))
    }

    /// Operations in flight at most (QEMU's mirror: 16, of up to 1 MiB too).
    static let mostLanes = 8
    /// Bytes after which the target is flushed on the way, off the copy path.
    static let flushInterval = 256 << 20

    /// Whether the job sees events and may act on them.
    var isRunning: Bool { !machine.isOver && machine.phase != .created }
    var isDelta: Bool { parameters.sync == .none }
    /// Bytes that wait for the copier or are with it.
    var remaining: Int { table.dirtyBytes + table.claimedBytes }

    /// Any thread: whether the job is over.
    var hasEnded: Bool { ended.load(ordering: .acquiring) }
    func markEnded() { ended.store(true, ordering: .releasing) }

    /// Any thread: makes the queue look at the table. Many wakes are one.
    func wake() { wakeSource.add(data: 1) }
}

/// What a job needs of its mount.
struct JobServices: Sendable {
    let permits: LanePermits
    /// Tells an event of the job: QEMU's name, and what belongs to it.
    let tell: @Sendable (EventLog.Name, JobReport) -> Void
    /// The job is over: its image and its place among the live ones are free.
    let ended: @Sendable (Job) -> Void
}
