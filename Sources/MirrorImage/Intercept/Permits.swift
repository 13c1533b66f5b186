import MirrorSystem
import Synchronization

/// How many threads of a mount may do something at once. Nobody waits for one: who gets none does
/// without.
package final class Permits: Sendable {
    private let free: Atomic<Int>

    package init(_ count: Int) { free = Atomic(count) }

    package func take() -> Bool { free.takeOne() }
    package func giveBack() { free.add(1, ordering: .relaxed) }
}
