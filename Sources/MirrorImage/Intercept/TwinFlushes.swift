import Synchronization

/// Jobs that make an image's twin durable whenever its guest flushes (`fsync=both`).
package final class TwinFlushes: Sendable {
    /// Makes the twin durable as far as that can be had, then calls back; soon, whatever the twin
    /// does.
    package typealias Flush = @Sendable (_ done: @escaping @Sendable () -> Void) -> Void

    /// Looked at by every flush without the lock.
    private let count = Atomic<Int>(0)
    /// Protects the list. Leaf lock.
    private let flushes = Mutex<[ObjectIdentifier: Flush]>([:])

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    package func add(_ owner: AnyObject, _ flush: @escaping Flush) {
        flushes.withLock { flushes in
            flushes[ObjectIdentifier(owner)] = flush
            count.store(flushes.count, ordering: .releasing)
        }
    }

    package func remove(_ owner: AnyObject) {
        flushes.withLock { flushes in
            flushes[ObjectIdentifier(owner)] = nil
            count.store(flushes.count, ordering: .releasing)
        }
    }

    func all() -> [Flush] { flushes.withLock { Array($0.values) } }
}

extension Image {
    /// Whether a guest's flush is to make twins durable as well, by `flushTwins`.
    public var flushesTwins: Bool { !twinFlushes.isEmpty }

    /// After the source is durable: calls `done` once the twins are too, or cannot be. The guest
    /// learns nothing of the latter. Blocks nobody.
    public func flushTwins(then done: @escaping @Sendable () -> Void) {
        let flushes = twinFlushes.all()
        let left = Countdown(flushes.count + 1, done)
        for flush in flushes { flush { left.step() } }
        left.step()
    }
}

/// Calls something once so many others are done.
private final class Countdown: Sendable {
    private let left: Atomic<Int>
    private let done: @Sendable () -> Void

    init(_ count: Int, _ done: @escaping @Sendable () -> Void) {
        left = Atomic(count)
        self.done = done
    }

    func step() {
        if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { done() }
    }
}
