/// The life of a job, without its effects: events go in, actions come out.
///
/// ```
/// created ─▶ bulk ─▶ ready ─▶ completing ─▶ completed
///              │       │           │
///              └───────┴───────────┴─▶ cancelled / failed
/// ```
///
/// Beside the phase stands a stage, which says what the copier may do:
///
/// | stage | guest's writes | copier | left by |
/// |---|---|---|---|
/// | copying | go on, are marked | copies | an observation that the twin agrees, or nearly does |
/// | freezing | go on, are marked | copies | the end of `pre-cut` |
/// | awaitingFlush | go on, are marked | copies | a flush with nothing in flight, or `cut-wait` |
/// | holding | wait | copies the rest | agreement, the end of `max-pause`, an error, a pause |
/// | closing | wait | rests: flush, then switch-over | the switch-over; before it `max-pause` |
/// | settling | go on, are marked | rests: the twin stays as it was | the flush, the publication |
///
/// Transitions and who makes them: `started` created→bulk; `published` bulk→ready; `end(.soft)` and
/// `end(.switchOver)` ready→completing; `flushed` or `switched` completing→completed; `end(.now)`,
/// `failed` → cancelled, failed; a failed `pre-cut` or switch-over completing→ready. A pause is not
/// a phase: the phase stays, the copier rests, marks go on. So it is while the job comes back after
/// a restart and has not opened its twins again (`isResuming`), which `reopened` ends.
public struct JobMachine: Sendable {
    public enum Phase: String, CaseIterable, Codable, Sendable {
        case created, bulk, ready, completing, completed, cancelled, failed
    }

    enum Stage: Sendable { case copying, freezing, awaitingFlush, holding, closing, settling }

    /// QEMU's BlockDeviceIoStatus.
    public enum IOStatus: String, CaseIterable, Codable, Sendable { case ok, failed, nospace }

    public enum Side: Sendable { case source, target }

    /// QEMU's BlockErrorAction: what the job does about an error.
    public enum ErrorAction: String, Sendable { case report, ignore, stop }

    /// How a job is to end; but for `now` its record says it.
    public enum Ending: String, CaseIterable, Codable, Sendable {
        /// When source and twin agree: `cancel` in ready, `complete switch=off`.
        case soft
        /// The end when both agree, after which the guest keeps running on the twin: `complete`.
        case switchOver = "switch-over"
        /// At once; the twin may be anything.
        case now
    }

    /// What the shell saw between two steps of the copier.
    public struct Observation: Sendable {
        /// R5 holds: the twin equals the source at an instant just past, and nothing was copied
        /// since.
        public var agrees: Bool
        /// Everything that was dirty at the start of the pass has been copied once.
        public var passDone: Bool
        /// What is left can be copied within `max-pause`, and no attempt failed a moment ago.
        public var affordable: Bool

        public init(agrees: Bool, passDone: Bool, affordable: Bool) {
            self.agrees = agrees
            self.passDone = passDone
            self.affordable = affordable
        }
    }

    public enum Event: Sendable {
        case started
        case observed(Observation)
        /// The hold has lasted `max-pause` and the cut is not done.
        case holdExpired
        case flushed
        case published
        /// The guest's side runs from the twin, or the attempt failed and nothing has changed.
        case switched(Bool)
        /// `pre-cut` has ended; false where it failed or took too long.
        case preCutDone(Bool)
        /// A guest's flush ended with nothing in flight; the shell holds the writes already.
        case flushSeen
        /// No such flush within `cut-wait`.
        case flushWaitOver
        case pause
        case resume
        case end(Ending)
        /// A copy, a flush or a publication failed; its extents are dirty again (R4).
        case failed(Side, isFull: Bool)
        /// The back-off after an ignored error is over.
        case retry
        /// What had failed was copied after all.
        case recovered
        /// After a restart the twins are open again. `isProven` is false where it is not known what
        /// differs.
        case reopened(isProven: Bool)
        /// A job that comes back does not find its twins, for now: it goes on trying.
        case absent
        /// A job cannot come back: what has its twin's name is not its twin.
        case refused
        /// The twins of a job that comes back are cut already.
        case cutFound
    }

    public enum Action: Equatable, Sendable {
        /// Hold the guest's writes; observe again when none is under way and the rest is copied.
        case hold
        case lift
        /// Make the target durable, then `flushed`.
        case flush
        /// Give the twin its name, then `published`.
        case publish
        /// Run `pre-cut`, then `preCutDone`.
        case preCut
        /// Run `post-cut`; nobody waits for it. After every `pre-cut`, also one that failed.
        case postCut
        /// Hold at the next flush of a guest with nothing in flight, then `flushSeen`; or
        /// `flushWaitOver`.
        case awaitFlush
        /// Serve the images from their twins, then `switched`.
        case switchOver
        /// The phase or the pause changed: tell it.
        case announce
        /// An error, and what the job does about it: tell it.
        case announceError(Side, ErrorAction)
        /// Send `retry` after a while that grows with the number of failures in a row.
        case backOff(failures: Int)
        /// The job is over; the phase says how. Stop tracking.
        case finish
        /// There may be something to copy again.
        case copy
    }

    public internal(set) var phase = Phase.created
    public internal(set) var isPaused = false
    public internal(set) var ioStatus = IOStatus.ok
    public internal(set) var wasReady = false
    var stage = Stage.copying
    /// Agreement is wanted, and what happens then.
    public internal(set) var ending: Ending?
    /// `pre-cut` was run and `post-cut` was not.
    var isFrozen = false
    /// The record of the switch-over is being written: there is no way back but its own failure.
    public internal(set) var isCommitting = false
    /// Failures in a row that `ignore` has passed over.
    public internal(set) var failures = 0
    public internal(set) var isBackingOff = false
    /// The job comes back after a restart: changes are marked, and its twins are not open yet.
    public internal(set) var isResuming = false

    public var onSourceError: JobParameters.ErrorPolicy
    public var onTargetError: JobParameters.ErrorPolicy
    public var maxRetries: Int
    /// What precedes a cut.
    private(set) var hasPreCut: Bool
    private(set) var cutsAtFlush: Bool

    public init(_ parameters: JobParameters) {
        onSourceError = parameters.onSourceError
        onTargetError = parameters.onTargetError
        maxRetries = parameters.maxRetries
        hasPreCut = parameters.preCut != nil
        cutsAtFlush = parameters.cut == .flush
    }

    /// A job that comes back after a restart, in the phase in which it was.
    public init(_ parameters: JobParameters, resuming state: Resumed) {
        self.init(parameters)
        isResuming = true
        (phase, wasReady) = (state.phase, state.wasReady)
        (isPaused, ending) = (state.isPaused, state.ending)
    }

    /// What is kept of a machine over a restart.
    public struct Resumed: Sendable {
        /// `created` until the first pass is marked; no final one.
        public var phase: Phase
        public var wasReady: Bool
        public var isPaused: Bool
        /// `soft` or `switchOver`.
        public var ending: Ending?

        public init(phase: Phase, wasReady: Bool, isPaused: Bool, ending: Ending?) {
            (self.phase, self.wasReady) = (phase, wasReady)
            (self.isPaused, self.ending) = (isPaused, ending)
        }
    }

    /// The mount ends: there is no guest any more to be frozen, or to flush.
    public mutating func forgetGuest() { (hasPreCut, cutsAtFlush) = (false, false) }

    public var isOver: Bool { phase.isOver }
    /// Whether extents may be taken now.
    public var mayCopy: Bool {
        isLive && !isPaused && !isBackingOff && !isResuming && stage != .settling
            && stage != .closing
    }
    public var isHolding: Bool { stage == .holding || stage == .closing }
    public var isSettling: Bool { stage == .settling }
    /// Whether the job is on its way to a cut.
    public var isEnding: Bool { ending != nil }
    private var isLive: Bool { !isOver && phase != .created }
}

extension JobMachine {
    public mutating func handle(_ event: Event) -> [Action] {
        if case .preCutDone(let isGood) = event { return preCutDone(isGood) }
        if isOver { return [] }
        switch event {
        case .started: return become(.bulk) + [.copy]
        case .observed(let observation): return observed(observation)
        case .holdExpired: return isHolding && !isCommitting ? leaveAttempt() + [.copy] : []
        case .flushed: return flushed()
        case .published: return published()
        case .switched(let isDone): return switched(isDone)
        case .preCutDone: return []
        case .flushSeen, .flushWaitOver: return flushAwaited(event)
        case .pause: return pause()
        case .resume: return resume()
        case .end(let ending): return end(ending)
        case .failed(let side, let isFull): return failed(side, isFull)
        case .retry: return retry()
        case .recovered: return recovered()
        case .reopened(let isProven): return reopened(isProven)
        case .absent:
            ioStatus = .failed
            return [.announce]
        case .refused: return leaveAttempt() + become(.failed) + [.finish]
        case .cutFound: return become(.completed) + [.finish]
        }
    }

    /// Without proof everything is compared, as in a job that begins.
    private mutating func reopened(_ isProven: Bool) -> [Action] {
        isResuming = false
        ioStatus = .ok
        if !isProven, phase != .created { (phase, wasReady) = (.bulk, false) }
        return [.announce, .copy]
    }

    private mutating func published() -> [Action] {
        stage = .copying
        wasReady = true
        return become(isEnding ? .completing : .ready) + [.copy]
    }

    private mutating func pause() -> [Action] {
        if isPaused || isCommitting { return [] }
        isPaused = true
        return leaveAttempt() + [.announce]
    }

    private mutating func resume() -> [Action] {
        ioStatus = .ok
        (failures, isBackingOff) = (0, false)
        guard isPaused else { return [.copy] }
        isPaused = false
        return [.announce, .copy]
    }

    private mutating func end(_ ending: Ending) -> [Action] {
        if isCommitting { return [] }
        if ending == .now || !wasReady { return leaveAttempt() + become(.cancelled) + [.finish] }
        if isEnding { return [] }
        self.ending = ending
        return become(.completing) + [.copy]
    }

    mutating func become(_ next: Phase) -> [Action] {
        phase = next
        return [.announce]
    }
}

extension JobMachine {
    /// QEMU's JobStatus word.
    public var status: JobStatus {
        switch phase {
        case .created: isPaused ? .paused : .created
        case .bulk: isPaused ? .paused : .running
        case .ready: isPaused ? .standby : .ready
        case .completing: isPaused ? .standby : .waiting
        case .completed, .cancelled, .failed: .concluded
        }
    }
}
