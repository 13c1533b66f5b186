import MirrorCore
import Synchronization

/// Who wants to know of an image's flushes.
package final class FlushWatches: Sendable {
    /// Looked at by every flush without the lock.
    private let count = Atomic<Int>(0)
    /// Protects the list. Leaf lock.
    private let watches = Mutex<[FlushWatch]>([])

    package func add(_ watch: FlushWatch) {
        watches.withLock { watches in
            watches.append(watch)
            count.store(watches.count, ordering: .releasing)
        }
    }

    package func remove(_ watch: FlushWatch) {
        watches.withLock { watches in
            watches.removeAll { $0 === watch }
            count.store(watches.count, ordering: .releasing)
        }
    }

    /// A guest's flush has ended well.
    func flushed() {
        if count.load(ordering: .acquiring) == 0 { return }
        for watch in watches.withLock({ $0 }) { watch.flushed() }
    }
}

/// Waits for a guest's flush that finds nothing in flight on any image of a job.
package final class FlushWatch: Sendable {
    private let images: @Sendable () -> [Image]?
    private let wake: @Sendable () -> Void
    private let seen: @Sendable (_ lift: @escaping @Sendable () -> Void) -> Void
    private let isDone = Atomic<Bool>(false)

    /// - Parameters:
    ///   - images: those of the job; nil once there is no job any more.
    ///   - wake: tells the job that a change has left while an image was held.
    ///   - seen: called once, with all images held and nothing under way; calls `lift` at the end.
    package init(
        images: @escaping @Sendable () -> [Image]?, wake: @escaping @Sendable () -> Void,
        seen: @escaping @Sendable (_ lift: @escaping @Sendable () -> Void) -> Void
    ) {
        (self.images, self.wake, self.seen) = (images, wake, seen)
    }

    /// The first caller gets true.
    package func end() -> Bool { !isDone.exchange(true, ordering: .acquiringAndReleasing) }

    /// A guest's flush has ended and was not answered yet. Closes the doors; keeps them closed if
    /// nothing is under way.
    package func flushed() {
        guard let images = images(), !isDone.load(ordering: .acquiring) else { return }
        // Of its own: another flush may hold and lift at the same time.
        let hold = FlushHold(images, wake)
        let isQuiet = images.allSatisfy(\.gate.gauge.isIdle)
        guard isQuiet, end() else { return hold.lift() }
        seen { hold.lift() }
    }
}

/// Images held on behalf of one flush.
private final class FlushHold: Sendable {
    private let images: [Image]

    init(_ images: [Image], _ wake: @escaping @Sendable () -> Void) {
        self.images = images
        for image in images { image.gate.hold(by: self, changed: wake) }
    }

    func lift() {
        for image in images { image.lift(by: self) }
    }
}
