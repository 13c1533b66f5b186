/// Whether a twin is the image as it was at one instant, because its job was in sync and has
/// written nothing of a later state since: the way to `TwinWorth.outdated`.
///
/// ```
///            agreed          stopped            flushed          say            said
/// unknown ───────▶ agreed ───────▶ flushing ───────▶ durable ────────▶ saying ───────▶ said
///    ▲                                                                                  │
///    └── forget: written, or may be lost (before `saying`)                   taken back ─▶ agreed
/// ```
///
/// In `saying` and `said` the twins' attributes may say `outdated`. So nothing may be written
/// before they were taken back, and that is durable.
public struct Standstill: Sendable {
    private enum State: Sendable { case unknown, agreed, flushing, durable, saying, said, doubted }

    private var state = State.unknown
    /// When source and twin agreed, seconds since 1970.
    private var instant = 0

    public init() {}

    /// The instant of which the twin is, once it is on stable storage and its attributes say so;
    /// else nil.
    public var time: Int? { state == .said ? instant : nil }
    /// Whether attributes may say `outdated`: they are taken back before anything is written.
    public var isSaid: Bool { state == .saying || state == .said || state == .doubted }

    /// R5 holds, and nothing is on its way to the twin.
    public mutating func agreed(at time: Int) {
        if state == .unknown || state == .agreed { (state, instant) = (.agreed, time) }
    }

    /// Something was written to the twin, or is found to be lost there, or to differ.
    public mutating func forget() { state = isSaid ? .doubted : .unknown }

    /// The job stands still. Returns whether the twin is to be flushed for it.
    public mutating func stop() -> Bool {
        guard state == .agreed else { return false }
        state = .flushing
        return true
    }

    /// A flush of the twin has succeeded that began after `stop`.
    public mutating func flushed() { if state == .flushing { state = .durable } }

    /// Returns the instant that attributes are to be given, where that is to be done now; then
    /// `said`.
    public mutating func say() -> Int? {
        guard state == .durable else { return nil }
        state = .saying
        return instant
    }

    /// - Parameter isGood: whether the attributes are durable.
    public mutating func said(_ isGood: Bool) {
        if state == .saying { state = isGood ? .said : .doubted }
    }

    /// The attributes do not say it any more, durably.
    public mutating func takenBack() {
        guard isSaid else { return }
        state = state == .said ? .agreed : .unknown
    }

    /// After a restart the attributes say it.
    ///
    /// - Parameter isProven: whether nobody can have written the twins since.
    public mutating func found(at time: Int, isProven: Bool) {
        (state, instant) = (isProven ? .said : .doubted, time)
    }
}
