package import MirrorCore
import Synchronization

/// Where one job's marks go, and whom to wake when there is something to copy again.
package final class Tracker: Sendable {
    package let table: DirtyTable
    /// Tells the job's queue to look; idempotent, never blocks.
    package let wake: @Sendable () -> Void
    /// Sends writes to the twin; nil where nothing ever does.
    package let forwarder: Forwarder?
    /// Which extents may differ after a power cut; nil where that is not kept.
    package let intents: IntentBits?
    /// Asks the log for more of them; there where `intents` is.
    let requestIntent: (@Sendable (ByteRange, @escaping @Sendable () -> Void) -> Void)?

    package init(
        table: DirtyTable, forwarder: Forwarder? = nil, intents: IntentGate? = nil,
        wake: @escaping @Sendable () -> Void
    ) {
        self.table = table
        self.forwarder = forwarder
        self.intents = intents?.bits
        requestIntent = intents?.request
        self.wake = wake
    }
}

/// The trackers of one image, read by every change without a lock or a retain.
///
/// `nonisolated(unsafe)`: the buffer is replaced only while the gate is held and its gauge idle, so
/// no reader is between `enter` and `leave`; the gate's atomics order the replacement before later
/// readers.
package final class TrackerList: Sendable {
    /// Held while the list is changed: jobs and checkpoints of one image may begin and end in one
    /// hold. Leaf lock; changes of the image never take it.
    private let changing = Mutex<Void>(())
    private nonisolated(unsafe) var trackers: UnsafeMutableBufferPointer<Unmanaged<Tracker>> =
        .init(
            start: nil, count: 0)

    /// Whether a table outlives the process. Replaced together with the buffer.
    private nonisolated(unsafe) var isKept = false
    private let slots = SlotNumbers()

    deinit { replace(with: []) }

    /// Only between a held, idle gate and its lift, as `remove`.
    package func add(_ tracker: Tracker) {
        changing.withLock { _ in replace(with: all + [tracker]) }
    }

    package func remove(_ table: DirtyTable) {
        changing.withLock { _ in replace(with: all.filter { $0.table !== table }) }
    }

    /// Marks the size for all of them. Only while the gate is held and idle, as `add`.
    package func markLength() {
        changing.withLock { _ in withEach { if $0.table.markLength() { $0.wake() } } }
    }

    private func replace(with new: [Tracker]) {
        for tracker in trackers { tracker.release() }
        trackers.deallocate()
        trackers = .allocate(capacity: new.count)
        _ = trackers.initialize(from: new.map { Unmanaged.passRetained($0) })
        isKept = new.contains { $0.table.isKept }
    }

    /// Only between the gate's `enter` and `leave`.
    @inline(__always)
    func withEach(_ body: (Tracker) -> Void) {
        for tracker in trackers { tracker._withUnsafeGuaranteedRef { body($0) } }
    }

    /// Whether every log says durably that `range` may differ. Only between the gate's `enter` and
    /// `leave`.
    @inline(__always)
    func areIntended(_ range: ByteRange) -> Bool {
        for tracker in trackers {
            let isIntended = tracker._withUnsafeGuaranteedRef { $0.intents?.admits(range) ?? true }
            if !isIntended { return false }
        }
        return true
    }

    /// Whether any job wants writes sent to its twin. Only between the gate's `enter` and `leave`.
    @inline(__always)
    var forwards: Bool {
        for tracker in trackers {
            let isOn = tracker._withUnsafeGuaranteedRef { $0.forwarder?.isOn ?? false }
            if isOn { return true }
        }
        return false
    }

    /// Before the source is changed: a worker that finds this one dead in between takes `range` for
    /// dirty (R4). Only between the gate's `enter` and `leave`, as `endChange`.
    ///
    /// - Returns: what `endChange` wants.
    @inline(__always)
    func beginChange(_ range: ByteRange, isTruncation: Bool = false) -> Int? {
        isKept ? noteChange(range, isTruncation) : nil
    }

    private func noteChange(_ range: ByteRange, _ isTruncation: Bool) -> Int? {
        let slot = slots.take(near: range.lowerBound)
        withEach { $0.table.beginChange(range, isTruncation: isTruncation, slot: slot) }
        return slot
    }

    /// After the change is marked.
    @inline(__always)
    func endChange(_ slot: Int?) {
        guard isKept else { return }
        withEach { $0.table.endChange(slot: slot) }
        if let slot { slots.giveBack(slot) }
    }

    private var all: [Tracker] { trackers.map { $0.takeUnretainedValue() } }
}
