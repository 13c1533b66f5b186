package import MirrorCore
import MirrorSystem
import Synchronization

/// Times what guests' requests spend at the source, while a job wants to know (`pace=guest`). What
/// a hold, an order among writes or a twin makes them wait for is not in it.
package final class RequestTimer: Sendable {
    package let meter = LatencyMeter()
    /// Jobs that want to know.
    private let users = Atomic<Int>(0)

    package func beginUse() { users.add(1, ordering: .relaxed) }
    package func endUse() { users.subtract(1, ordering: .relaxed) }

    /// Before the call at the source; 0 where nobody wants to know.
    @inline(__always)
    func start() -> Int {
        users.load(ordering: .relaxed) == 0 ? 0 : Stopwatch.nanoseconds
    }

    /// After it, whatever came of it.
    @inline(__always)
    func stop(_ start: Int, _ kind: @autoclosure () -> LatencyMeter.Kind) {
        if start != 0 { meter.add(kind(), from: start, to: Stopwatch.nanoseconds) }
    }
}
