package import MirrorCore
import Synchronization

/// The door through which every change of an image passes: open, or held for a moment while a job
/// cuts.
///
/// enter   gauge += 1, then look whether the door is held. Held: gauge -= 1, and the change is
/// parked. hold    holds += 1; from then on, once the gauge is idle, no change is under way and
/// none begins. lift    holds -= 1; at zero every parked change is run again, each through `enter`
/// anew.
///
/// Both sides use sequentially consistent operations on `gauge` and `holds`: of a change that
/// enters and a holder who reads the gauge, at least one sees the other.
package final class Gate: Sendable {
    package let gauge = WriteGauge()
    private let holds = Atomic<Int>(0)
    /// Protects the parked changes and every change of `holds`. Nothing is called under it.
    private let parked = Mutex<Parked>(Parked())

    private struct Parked {
        var changes: [@Sendable () -> Void] = []
        var holders: [ObjectIdentifier: @Sendable () -> Void] = [:]
    }

    /// Counts the change in, or answers false: the caller must `park` it and answer nobody.
    @inline(__always)
    func enter(_ range: ByteRange) -> Bool {
        gauge.enter(range)
        if holds.load(ordering: .sequentiallyConsistent) == 0 { return true }
        leave(range)
        return false
    }

    /// Counts it out again; wakes the holders where there are some.
    @inline(__always)
    func leave(_ range: ByteRange) {
        gauge.leave(range)
        if holds.load(ordering: .sequentiallyConsistent) != 0 { wakeHolders() }
    }

    /// Keeps `retry` until the door opens; runs it at once where it is open already.
    func park(_ retry: @escaping @Sendable () -> Void) {
        let isHeld = parked.withLock { state in
            if holds.load(ordering: .sequentiallyConsistent) == 0 { return false }
            state.changes.append(retry)
            return true
        }
        if !isHeld { retry() }
    }

    /// Holds the door for `holder`. `changed` is called whenever a change has left; it must not
    /// block.
    package func hold(by holder: AnyObject, changed: @escaping @Sendable () -> Void) {
        parked.withLock { state in
            let isNew = state.holders.updateValue(changed, forKey: ObjectIdentifier(holder)) == nil
            if isNew { holds.add(1, ordering: .sequentiallyConsistent) }
        }
    }

    /// Ends the hold of `holder`, if it has one, and returns the changes that may go on.
    func lift(by holder: AnyObject) -> [@Sendable () -> Void] {
        parked.withLock { state in
            guard state.holders.removeValue(forKey: ObjectIdentifier(holder)) != nil else {
                return []
            }
            holds.subtract(1, ordering: .sequentiallyConsistent)
            guard state.holders.isEmpty else { return [] }
            defer { state.changes = [] }
            return state.changes
        }
    }

    private func wakeHolders() {
        let wakes = parked.withLock { Array($0.holders.values) }
        for wake in wakes { wake() }
    }
}
