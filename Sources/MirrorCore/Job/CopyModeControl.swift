/// Decides for `copy-mode=auto` when guest writes go to the target at once: in the background while
/// what remains shrinks, forwarded when it has stopped shrinking, and back when the copier could
/// keep up alone.
///
/// Where the copy comes first (`Measurement`), what the guest undoes of it is enough: forwarded as
/// soon as what remains shrinks by less than half of what is copied. Later would cost more than the
/// guest's patience: all that is dirtied meanwhile, in small pieces all over the image, has to be
/// copied once more.
///
/// Forwarded, a clean granule stays clean, so what remains can only shrink: every job converges
/// (docs/architecture.md, "Life of a job"). Times and shares below are chosen for that and for
/// calm, not measured.
public struct CopyModeControl: Sendable {
    /// What remains has not reached a new low for so long: it does not shrink.
    static let patience = Duration.seconds(3)
    /// Forwarding lasts at least so long once it began.
    static let leastForwarding = Duration.seconds(5)
    /// Bytes a second that every copier is taken to manage: a small job may never have been
    /// measured. One that does not is found out again within `patience`.
    static let slowestCopier = Double(1 << 20)
    /// After a forward that was abandoned, none are sent for so long.
    static let afterAbandoned = Duration.seconds(10)

    public private(set) var forwards = false
    private var lowest = Int.max
    private var lowestSince: Duration?
    private var forwardingSince: Duration?
    private var blockedUntil: Duration?
    private var lastLook: Measurement?
    /// Looks in a row that saw it shrink by too little.
    private var badLooks = 0
    /// So many are enough: one may have met a pause of the target.
    static let mostBadLooks = 2

    public init() {}

    /// What was seen about a second after the last time.
    public struct Sample: Sendable {
        /// A monotonic time.
        public var now: Duration
        /// Bytes dirty or in flight.
        public var remaining: Int
        /// Bytes that a cut could copy within its pause: as much is as good as nothing.
        public var affordable: Int
        /// Bytes a second that guests write, forwarded or not, and that the copier can copy at
        /// best.
        public var guestRate: Double
        public var copyRate: Double

        public init(
            now: Duration, remaining: Int, affordable: Int, guestRate: Double, copyRate: Double
        ) {
            self.now = now
            self.remaining = remaining
            self.affordable = affordable
            self.guestRate = guestRate
            self.copyRate = copyRate
        }
    }

    public mutating func take(_ sample: Sample) {
        if sample.remaining <= sample.affordable { lowest = Int.max }
        if sample.remaining <= sample.affordable || sample.remaining < lowest - lowest / 50 {
            (lowest, lowestSince) = (sample.remaining, sample.now)
        }
        if forwards { return leave(sample) }
        guard let since = lowestSince else {
            lowestSince = sample.now
            return
        }
        if sample.now - since >= Self.patience { start(at: sample.now) }
    }

    /// What was seen a tenth of a second or two after the last time, where the copy comes before
    /// the guest.
    public struct Measurement: Sendable {
        /// A monotonic time.
        public var now: Duration
        /// Bytes copied since the job began, recopied ones counted again.
        public var copied: Int
        /// As in `Sample`.
        public var remaining: Int
        public var affordable: Int

        public init(now: Duration, copied: Int, remaining: Int, affordable: Int) {
            self.now = now
            self.copied = copied
            self.remaining = remaining
            self.affordable = affordable
        }
    }

    public mutating func take(_ look: Measurement) {
        guard let last = lastLook else {
            lastLook = look
            return
        }
        let copied = look.copied - last.copied
        // A target that does nothing does nothing for a guest that waits for it either.
        if copied == 0 { return }
        lastLook = look
        let isBad = last.remaining - look.remaining < copied / 2
        badLooks = isBad && look.remaining > look.affordable ? badLooks + 1 : 0
        if badLooks >= Self.mostBadLooks { start(at: look.now) }
    }

    /// Nobody looks for a while.
    public mutating func endLooks() { (lastLook, badLooks) = (nil, 0) }

    private mutating func leave(_ sample: Sample) {
        guard let since = forwardingSince, sample.now - since >= Self.leastForwarding,
            sample.remaining <= sample.affordable,
            sample.guestRate < max(sample.copyRate / 2, Self.slowestCopier)
        else { return }
        stop(at: sample.now)
    }

    /// A cut was tried and would have taken too long: no more waiting.
    public mutating func cutFailed(at now: Duration) { start(at: now) }

    /// A forward was abandoned: the target is too slow for the guest to wait for.
    public mutating func abandoned(at now: Duration) {
        stop(at: now)
        blockedUntil = now + Self.afterAbandoned
    }

    private mutating func start(at now: Duration) {
        if let blockedUntil, now < blockedUntil { return }
        if forwards { return }
        (forwards, forwardingSince) = (true, now)
    }

    private mutating func stop(at now: Duration) {
        (forwards, forwardingSince) = (false, nil)
        (lowest, lowestSince) = (Int.max, now)
    }
}
