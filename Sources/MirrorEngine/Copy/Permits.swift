import Synchronization

/// How many threads of a mount may do something at once. Nobody waits for one: who gets none does without.
final class Permits: Sendable {
    private let free: Atomic<Int>

    init(_ count: Int) { free = Atomic(count) }

    func take() -> Bool {
        var seen = free.load(ordering: .relaxed)
        while seen > 0 {
            let (done, original) = free.weakCompareExchange(
                expected: seen, desired: seen - 1, ordering: .relaxed)
            if done { return true }
            seen = original
        }
        return false
    }

    func giveBack() { free.add(1, ordering: .relaxed) }
}
