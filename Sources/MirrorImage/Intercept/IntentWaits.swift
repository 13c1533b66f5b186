import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

/// Changes of an image that wait until what they are about to touch is intended, durably
/// (`IntentLog`). They waited outside of the gate, so whoever holds it does not wait for them.
///
/// A change that is not admitted asks every log that does not admit it, counts here as one that
/// waits for a commit, and is parked. Whenever a commit is done all that are parked try again, each
/// through the gate anew: those that came later ask again.
final class IntentWaits: Sendable {
    /// Commits that somebody waits for. Looked at without the lock.
    private let pending = Atomic<Int>(0)
    /// Protects the parked changes, and every change of `pending`. Nothing is called under it.
    private let parked = Mutex<[@Sendable () -> Void]>([])

    func begin() { parked.withLock { _ in _ = pending.add(1, ordering: .acquiringAndReleasing) } }

    /// - Returns: the changes that may try again.
    func end() -> [@Sendable () -> Void] {
        parked.withLock { parked in
            pending.subtract(1, ordering: .acquiringAndReleasing)
            defer { parked = [] }
            return parked
        }
    }

    /// Keeps `retry` until a commit is done; false where none is awaited.
    func park(_ retry: @escaping @Sendable () -> Void) -> Bool {
        if pending.load(ordering: .acquiring) == 0 { return false }
        return parked.withLock { parked in
            guard pending.load(ordering: .acquiring) != 0 else { return false }
            parked.append(retry)
            return true
        }
    }
}

extension Image {
    /// Step 2 of the shim: whether `range` may be changed now. Otherwise its intent is on its way,
    /// and the caller leaves the gate and answers `.held`. Only between the gate's `enter` and
    /// `leave`.
    @inline(__always)
    func isIntended(_ range: ByteRange) -> Bool {
        trackers.areIntended(range) || !requestIntent(range)
    }

    /// Asks each log that does not admit `range`.
    ///
    /// - Returns: whether there was one.
    private func requestIntent(_ range: ByteRange) -> Bool {
        var isAsked = false
        trackers.withEach { tracker in
            guard let bits = tracker.intents, !bits.admits(range) else { return }
            isAsked = true
            intentWaits.begin()
            tracker.requestIntent?(range) { [self] in
                let parked = intentWaits.end()
                if parked.isEmpty { return }
                replay.async { for retry in parked { retry() } }
            }
        }
        return isAsked
    }
}

/// How often an image was made durable by its guest, for whoever needs that too.
package final class FlushCount: Sendable {
    private let begun = Atomic<Int>(0)
    private let good = Atomic<Int>(0)

    /// What `isDone(after:)` takes.
    package var now: Int { begun.load(ordering: .sequentiallyConsistent) }

    func begin() -> Int { begun.add(1, ordering: .sequentiallyConsistent).newValue }
    func succeeded(_ number: Int) { good.max(number, ordering: .sequentiallyConsistent) }

    /// Whether a flush that began after `then` has succeeded.
    package func isDone(after then: Int) -> Bool {
        good.load(ordering: .sequentiallyConsistent) > then
    }
}
