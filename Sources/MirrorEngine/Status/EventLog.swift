import MirrorCore
import Synchronization

/// The last events of a mount, each a line of JSON with a sequence number that never goes back.
public final class EventLog: Sendable {
    public init() {}

    /// Sequence number of the newest event; 0 before the first.
    public var newest: UInt64 { 0 }

    /// The lines after `sequence`, oldest first, each with its newline, and the newest sequence number
    /// among them (or `sequence`). Events that were dropped to stay bounded are missing.
    public func lines(after sequence: UInt64) -> (text: [UInt8], newest: UInt64) { ([], sequence) }

    /// `handler` is called, on any thread and without a lock held, after each event. It must not block.
    public func subscribe(_ handler: @escaping @Sendable () -> Void) {}
}
