/// The life of what one twin gets of one guest write: whose side is done, and who is still to be
/// told. A value; its owner performs the actions.
///
/// | source | twin | waited for | what happens |
/// |---|---|---|---|
/// | pending | any | any | nothing: a mark before the source is written may be taken early (R1) |
/// | done | pending | yes | nothing: the guest waits for the twin |
/// | done | pending | no | the pieces are marked and the guest is told; they stay under way |
/// | both good | | yes | the forward ends, the guest is told |
/// | done | done | else | the forward fails: marked, then ended (R4); the guest is told, once |
///
/// The pieces stay under way until both sides are done. Ended after the twin alone, a granule that
/// another write has marked could be copied before this write is in the source, over what the twin
/// has already.
public struct ForwardMachine: Sendable {
    /// `isGood`: all was written, and the file not truncated since the write began. Each side is
    /// done once.
    public enum Event: Sendable {
        case sourceDone(isGood: Bool)
        case targetDone(isGood: Bool)
        /// The guest waits no longer for the twin. Changes nothing where the twin is done.
        case abandon
    }

    /// To be performed in this order.
    public struct Actions: OptionSet, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The pieces, which stay under way.
        public static let mark = Actions(rawValue: 1)
        /// The bytes are on the twin.
        public static let endForward = Actions(rawValue: 2)
        /// The bytes, and the size, may not be.
        public static let failForward = Actions(rawValue: 4)
        /// It need not wait for this twin any more.
        public static let tellGuest = Actions(rawValue: 8)
    }

    private enum Side { case pending, good, failed }

    private var source = Side.pending
    private var target = Side.pending
    private var isTold = false
    public private(set) var isAbandoned = false

    public init() {}

    /// Whether `abandon` would change anything.
    public var awaitsTarget: Bool { target == .pending && !isAbandoned }

    public mutating func handle(_ event: Event) -> Actions {
        switch event {
        case .sourceDone(let isGood):
            precondition(source == .pending, "a source was written twice")
            source = isGood ? .good : .failed
        case .targetDone(let isGood):
            precondition(target == .pending, "a twin was written twice")
            target = isGood ? .good : .failed
        case .abandon:
            guard awaitsTarget else { return [] }
            isAbandoned = true
        }
        return next()
    }

    private mutating func next() -> Actions {
        guard source != .pending else { return [] }
        if target == .pending { return isAbandoned ? telling(.mark) : [] }
        let isGood = source == .good && target == .good && !isAbandoned
        return telling(isGood ? .endForward : .failForward)
    }

    private mutating func telling(_ actions: Actions) -> Actions {
        defer { isTold = true }
        return isTold ? actions : actions.union(.tellGuest)
    }
}
