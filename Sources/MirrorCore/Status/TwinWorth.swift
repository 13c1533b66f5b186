/// What a twin is worth: `target-state` in the report, and but for `synced` the value of the
/// attribute `user.twinfs.state` of a twin that is a file. docs/control.md says how they follow
/// each other.
public enum TwinWorth: String, CaseIterable, Codable, Sendable {
    /// It equals the image at no instant that is known.
    case inconsistent
    /// It holds only what was written since the job's start (`sync=none` without a seed).
    case partial
    /// The job has completed: the twin equals the image as it was at the cut, on stable storage.
    case consistent
    /// It equals the image now.
    case synced
    /// The job was in sync and stands still: the twin equals the image as it was at a past instant,
    /// on stable storage.
    case outdated
}

extension TwinWorth {
    /// What is known of a twin.
    public struct Facts: Sendable {
        public var phase: JobMachine.Phase
        public var wasReady: Bool
        /// Whether only what was written since the job's start is copied.
        public var isDelta: Bool
        /// R5 holds now: the twin equals the image.
        public var agrees: Bool
        /// The twin equals the image as it was at one instant, and that is on stable storage
        /// (`Standstill`).
        public var isPastState: Bool

        public init(
            phase: JobMachine.Phase, wasReady: Bool, isDelta: Bool, agrees: Bool, isPastState: Bool
        ) {
            (self.phase, self.wasReady, self.isDelta) = (phase, wasReady, isDelta)
            (self.agrees, self.isPastState) = (agrees, isPastState)
        }
    }

    /// The one definition of what a twin is worth.
    public init(_ facts: Facts) {
        if facts.isDelta {
            self = facts.wasReady ? .partial : .inconsistent
        } else if facts.phase == .completed {
            self = .consistent
        } else if facts.agrees, facts.wasReady, !facts.phase.isOver {
            self = .synced
        } else {
            self = facts.isPastState ? .outdated : .inconsistent
        }
    }
}
