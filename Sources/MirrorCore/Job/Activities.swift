/// Something that a job has begun, that goes on beside its queue, and whose end comes back to the
/// queue.
///
/// Forwarded writes are not among them: guests' threads begin and end them, and each `Forwarder`
/// counts its own.
public enum Activity: Int, CaseIterable, Sendable {
    /// A lane copies a batch: one for each busy lane.
    case copy
    /// The clerk gives the twins the sizes of their images.
    case size
    /// The clerk looks up what the first pass has to copy.
    case scan
    /// The clerk gives the twins their names.
    case publish
    /// The clerk has the twins say what they are worth, or takes it back.
    case worth
    /// The clerk opens the twins of a job that has come back.
    case reopen
    /// The clerk makes the twins durable; the copy goes on beside it.
    case flush
    /// Source and twin are being compared.
    case verify
    /// The sources are made durable, and the write-intent logs cleared.
    case clearIntents
    /// The clerk looks how much space the target has left.
    case space
    /// The copier waits for `speed` or `pace`, or until more has gathered.
    case throttle
    /// The guest is being moved to the twins.
    case switchOver
}

/// The activities of a job that are under way, counted. The one place that says which of them
/// excludes which.
///
/// | question | waits for |
/// |---|---|
/// | `isStill`: the twins have what was taken | copy, size, scan, publish, worth, reopen |
/// | `isAtRest`: nobody will call `advance` | these; throttle and space if they hold the copy up |
/// | `isQuiet`: twins and images may be closed | those of `isStill`, flush, verify, clearIntents |
///
/// A flush, a verification and the clearing of logs run beside a copier at rest, so only the end of
/// the job waits for them. The end waits for no look at the space: it would come back to a job that
/// is over, and does nothing. Nor for a throttle: it is a timer. A switch-over is over before its
/// job is.
public struct Activities: Sendable {
    private var counts = [Int](repeating: 0, count: Activity.allCases.count)

    public init() {}

    public mutating func enter(_ activity: Activity) { counts[activity.rawValue] += 1 }

    public mutating func leave(_ activity: Activity) {
        precondition(has(activity), "an activity ends that never began")
        counts[activity.rawValue] -= 1
    }

    public func has(_ activity: Activity) -> Bool { counts[activity.rawValue] > 0 }

    private func has(anyOf activities: [Activity]) -> Bool { activities.contains(where: has) }

    /// While the clerk does one of these nothing is taken for the copy.
    private static let exclusive: [Activity] = [.size, .scan, .publish, .worth, .reopen]

    /// Nothing is on its way to the twins by the copier or by the clerk: whatever is not marked has
    /// arrived.
    public var isStill: Bool { !has(.copy) && !has(anyOf: Self.exclusive) }

    /// Whether the copier is at work, or would be but for a limit.
    public var isCopying: Bool { has(.copy) || has(.throttle) }

    /// Nothing is being copied and nothing else is under way that will call `advance`.
    ///
    /// - Parameters:
    ///   - isHolding: the guest's writes are held, and a hold is not throttled.
    ///   - awaitsSpace: nothing may be taken before the look at the space has ended.
    public func isAtRest(isHolding: Bool, awaitsSpace: @autoclosure () -> Bool) -> Bool {
        isStill && (!has(.throttle) || isHolding) && !(has(.space) && awaitsSpace())
    }

    /// Nothing uses the twins and the images any more, but for forwarded writes.
    public var isQuiet: Bool { isStill && !has(anyOf: [.flush, .verify, .clearIntents]) }

    /// Whether source and twin may count as equal where no mark is left (R5).
    ///
    /// - Parameter isEnding: the job is on its way to a cut, and what a verification finds has to
    ///   be copied first.
    public func mayAgree(isEnding: Bool) -> Bool { isStill && !(isEnding && has(.verify)) }

    /// Whether the guest's writes may be held now.
    ///
    /// - Parameter isEnding: the hold is to lead to a cut, and would wait for the flush that is
    ///   under way.
    public func mayHold(isEnding: Bool) -> Bool { !(isEnding && has(.flush)) }

    /// Whether something may begin beside what is under way. What else it needs its owner knows.
    public func mayBegin(_ activity: Activity) -> Bool {
        switch activity {
        case .copy, .reopen, .worth: !has(anyOf: Self.exclusive)
        // A clearing begins with a flush of its own.
        case .clearIntents: !has(.flush) && !has(.clearIntents)
        case .flush, .verify, .space, .throttle: !has(activity)
        // The machine, or a copier at rest, asks for these one at a time.
        case .size, .scan, .publish, .switchOver: true
        }
    }
}
