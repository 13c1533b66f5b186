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
/// | holding | wait | copies the rest | agreement, the end of `max-pause`, an error, a pause |
/// | settling | go on, are marked | rests: the twin stays as it was when both agreed | the flush, the publication |
///
/// Transitions and who makes them: `started` created→bulk; `published` bulk→ready; `end(.soft)`
/// ready→completing; `flushed` completing→completed; `end(.now)`, `failed` → cancelled, failed.
/// A pause is not a phase: the phase stays, the copier rests, marks go on.
public struct JobMachine: Sendable {
    public enum Phase: String, Sendable {
        case created, bulk, ready, completing, completed, cancelled, failed
    }

    enum Stage: Sendable { case copying, holding, settling }

    /// QEMU's BlockDeviceIoStatus.
    public enum IOStatus: String, Sendable { case ok, failed, nospace }

    public enum Side: Sendable { case source, target }

    public enum Ending: Sendable {
        /// When source and twin agree: `cancel` in ready, `complete switch=off`.
        case soft
        /// At once; the twin may be anything.
        case now
    }

    /// What the shell saw between two steps of the copier.
    public struct Observation: Sendable {
        /// R5 holds: the twin equals the source at an instant just past, and nothing was copied since.
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
        /// The hold has lasted `max-pause` and the rest is not copied.
        case holdExpired
        case flushed
        case published
        case pause
        case resume
        case end(Ending)
        /// A copy, a flush or a publication failed; its extents are dirty again (R4).
        case failed(Side, isFull: Bool)
    }

    public enum Action: Equatable, Sendable {
        /// Hold the guest's writes; observe again when none is under way and the rest is copied.
        case hold
        case lift
        /// Make the target durable, then `flushed`.
        case flush
        /// Give the twin its name, then `published`.
        case publish
        /// The phase or the pause changed: tell it.
        case announce
        /// An error stopped or failed the job: tell it.
        case announceError(Side, stops: Bool)
        /// The job is over; the phase says how. Stop tracking.
        case finish
        /// There may be something to copy again.
        case copy
    }

    public private(set) var phase = Phase.created
    public private(set) var isPaused = false
    public private(set) var ioStatus = IOStatus.ok
    public private(set) var wasReady = false
    var stage = Stage.copying
    private var isEnding = false

    public var onSourceError: JobParameters.ErrorPolicy
    public var onTargetError: JobParameters.ErrorPolicy

    public init(_ parameters: JobParameters) {
        onSourceError = parameters.onSourceError
        onTargetError = parameters.onTargetError
    }

    public var isOver: Bool { phase == .completed || phase == .cancelled || phase == .failed }
    /// Whether extents may be taken now.
    public var mayCopy: Bool { isLive && !isPaused && stage != .settling }
    public var isHolding: Bool { stage == .holding }
    public var isSettling: Bool { stage == .settling }
    private var isLive: Bool { !isOver && phase != .created }
    /// Whether the job waits for an instant of agreement.
    private var wantsAgreement: Bool { phase == .bulk || isEnding }
}

extension JobMachine {
    public mutating func handle(_ event: Event) -> [Action] {
        if isOver { return [] }
        switch event {
        case .started: return become(.bulk) + [.copy]
        case .observed(let observation): return observed(observation)
        case .holdExpired: return stage == .holding ? leaveHold() + [.copy] : []
        case .flushed: return flushed()
        case .published: return published()
        case .pause: return pause()
        case .resume: return resume()
        case .end(let ending): return end(ending)
        case .failed(let side, let isFull): return failed(side, isFull)
        }
    }

    private mutating func observed(_ observation: Observation) -> [Action] {
        guard mayCopy, wantsAgreement else { return [] }
        if observation.agrees {
            let lift: [Action] = stage == .holding ? [.lift] : []
            stage = .settling
            return lift + [.flush]
        }
        guard stage == .copying, observation.passDone, observation.affordable else { return [] }
        stage = .holding
        return [.hold]
    }

    private mutating func flushed() -> [Action] {
        guard stage == .settling else { return [] }
        if phase == .bulk { return [.publish] }
        stage = .copying
        return become(.completed) + [.finish]
    }

    private mutating func published() -> [Action] {
        stage = .copying
        wasReady = true
        return become(isEnding ? .completing : .ready) + [.copy]
    }

    private mutating func pause() -> [Action] {
        if isPaused { return [] }
        isPaused = true
        return leaveHold() + [.announce]
    }

    private mutating func resume() -> [Action] {
        ioStatus = .ok
        guard isPaused else { return [] }
        isPaused = false
        return [.announce, .copy]
    }

    private mutating func end(_ ending: Ending) -> [Action] {
        if ending == .now || !wasReady { return leaveHold() + become(.cancelled) + [.finish] }
        if isEnding { return [] }
        isEnding = true
        return become(.completing) + [.copy]
    }

    private mutating func failed(_ side: Side, _ isFull: Bool) -> [Action] {
        let policy = side == .source ? onSourceError : onTargetError
        let stops = policy == .stop || (policy == .enospc && isFull)
        let lift = leaveHold()
        if stage == .settling { stage = .copying }
        ioStatus = isFull ? .nospace : .failed
        guard stops else {
            return lift + become(.failed) + [.announceError(side, stops: false), .finish]
        }
        if isPaused { return lift }
        isPaused = true
        return lift + [.announceError(side, stops: true), .announce]
    }

    private mutating func leaveHold() -> [Action] {
        guard stage == .holding else { return [] }
        stage = .copying
        return [.lift]
    }

    private mutating func become(_ next: Phase) -> [Action] {
        phase = next
        return [.announce]
    }
}

extension JobMachine {
    /// QEMU's JobStatus word.
    public var status: String {
        switch phase {
        case .created: isPaused ? "paused" : "created"
        case .bulk: isPaused ? "paused" : "running"
        case .ready: isPaused ? "standby" : "ready"
        case .completing: isPaused ? "standby" : "waiting"
        case .completed: "concluded"
        case .cancelled, .failed: "aborting"
        }
    }
}
