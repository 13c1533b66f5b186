import MirrorCore
import Synchronization
import SystemPackage

/// What a change of an image does, as far as the shim has to know: to its range, and to the image's
/// end.
struct Change: Sendable {
    /// Of a truncation: the new size, and no bytes.
    let range: ByteRange
    /// Whether bytes in `range` may differ afterwards.
    var changesBytes = true
    /// Whether the file may be longer afterwards.
    var mayGrow = true
    /// Whether it is all of `range` that was changed, or as many bytes as the outcome says.
    var isWhole = false
    var isTruncation = false

    @inline(__always)
    static func write(_ range: ByteRange) -> Change { Change(range: range) }

    /// Plain allocation changes no byte below the end of the file, and past it both read as zero.
    @inline(__always)
    static func allocation(
        _ range: ByteRange, changesBytes: Bool, mayGrow: Bool
    ) -> Change {
        Change(range: range, changesBytes: changesBytes, mayGrow: mayGrow, isWhole: true)
    }

    @inline(__always)
    static func truncation(to size: UInt64) -> Change {
        Change(range: ByteRange(size, size), isTruncation: true)
    }

    /// What is counted as under way while it lasts.
    @inline(__always)
    var gauged: ByteRange { isTruncation ? ByteRange(0, UInt64(Int64.max)) : range }

    /// Whether it leads past the end of a device. The size of a device is what it is.
    @inline(__always)
    func passes(_ limit: UInt64) -> Bool {
        isTruncation ? limit != .max : range.upperBound > limit
    }

    /// Up to where the file was certainly changed; nil where the change failed, or wrote nothing.
    @inline(__always)
    func end(after outcome: Image.Outcome) -> UInt64? {
        guard let count = outcome.count else { return nil }
        if isWhole { return range.upperBound }
        return count > 0 ? range.lowerBound + UInt64(count) : nil
    }
}

/// What a change that has begun keeps for its end.
struct BegunChange: Sendable {
    let change: Change
    /// Its note for the next worker.
    fileprivate let slot: Int?
    /// Truncations before it.
    let truncations: UInt64
}

// The shim's steps, each once: `Interceptor.swift` says what they are for. A plain change goes
// through `change`; a forwarded write (`Forward`) through the same steps, with its order and its
// twin in between.

extension Image {
    /// All five steps. `act` changes the source. `bounded` does what can be done of a change that
    /// leads past the limit, after the gate was left; `instead` may take over a change that was
    /// admitted.
    @inline(__always)
    func change(
        _ change: Change, bounded: (UInt64) -> Outcome, instead: () -> Outcome? = { nil },
        act: () -> Outcome
    ) -> Outcome {
        guard change.range.upperBound <= DirtyTable.limit else { return .failed(.fileTooLarge) }
        guard gate.enter(change.gauged) else { return .held }
        let limit = limit.load(ordering: .relaxed)
        if change.passes(limit) {
            gate.leave(change.gauged)
            return bounded(limit)
        }
        guard isIntended(change) else {
            gate.leave(change.gauged)
            return .held
        }
        if let outcome = instead() { return outcome }
        let begun = begin(change)
        let outcome = act()
        mark(begun, outcome) { mark(change.range) }
        end(begun)
        return outcome
    }

    /// R11, for all that the change may touch. No change that begins after this look can raise the
    /// reach past extents that are not intended, and none is cleared while a truncation is in the
    /// gauge everywhere.
    @inline(__always)
    private func isIntended(_ change: Change) -> Bool {
        !change.changesBytes || isIntended(touched(by: change))
    }

    @inline(__always)
    private func touched(by change: Change) -> ByteRange {
        guard change.isTruncation else { return change.range }
        let size = change.range.lowerBound
        return ByteRange(size, max(size, end.farthest))
    }

    /// The change is in the gate, and comes to the source next.
    @inline(__always)
    func begin(_ change: Change) -> BegunChange {
        let slot = trackers.beginChange(
            touched(by: change), isTruncation: change.isTruncation)
        return BegunChange(change: change, slot: slot, truncations: end.begin())
    }

    /// R1: after the data is in the source, before the reply. R4: whatever came of it. `markBytes`
    /// marks the bytes of the change's range that no twin gets by itself.
    @inline(__always)
    func mark(_ begun: BegunChange, _ outcome: Outcome, _ markBytes: () -> Void) {
        let change = begun.change
        if change.isTruncation { return markTruncation(to: change.range.lowerBound) }
        let end = change.end(after: outcome)
        if let end { self.end.reached(end) }
        if change.changesBytes { markBytes() }
        guard change.mayGrow else { return }
        let isCertain = end != nil
        let most = end ?? change.range.upperBound
        if self.end.mayHaveGrown(to: most, since: begun.truncations, isCertain: isCertain) {
            markLength()
        }
    }

    /// All of the change is marked.
    @inline(__always)
    func end(_ begun: BegunChange) {
        trackers.endChange(begun.slot)
        gate.leave(begun.change.gauged)
    }

    @inline(__always)
    private func mark(_ range: ByteRange) {
        trackers.withEach { tracker in
            if tracker.table.mark(range) { tracker.wake() }
        }
    }

    private func markTruncation(to size: UInt64) {
        let reach = end.truncated()
        if size < reach { mark(ByteRange(size, reach)) }
        markLength()
    }

    /// A size is marked like a granule: after the change, before the reply.
    private func markLength() {
        trackers.withEach { tracker in
            if tracker.table.markLength() { tracker.wake() }
        }
    }
}
