import MirrorSystem
import Synchronization

/// How many threads of a mount may do something at once. Nobody waits for one: who gets none does without.
final class Permits: Sendable {
    private let free: Atomic<Int>

    init(_ count: Int) { free = Atomic(count) }

    func take() -> Bool { free.takeOne() }
    func giveBack() { free.add(1, ordering: .relaxed) }
}
