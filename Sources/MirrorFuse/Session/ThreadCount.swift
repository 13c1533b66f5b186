import MirrorSystem
import Synchronization

/// How many request threads there are, and where each is in its loop.
struct ThreadCount: ~Copyable, Sendable {
    /// Most threads, so that many slow flushes at once cost a bounded amount of memory (2 MiB
    /// each).
    static let most = 64
    /// Those of `most` that only answer for what cannot hang, once all others are at work
    /// (`Backlog`).
    static let reserve = 8

    /// Most that may be at work at once.
    static let mostBusy = most - reserve

    private let running = Atomic<Int>(0)
    /// Those of `running` that may hang with a target.
    private let atTargets = Atomic<Int>(0)
    /// The mount is gone, or `drain` was called.
    private let areEnding = Atomic<Bool>(false)

    /// The system's numbers of the threads that run now. Nothing is called under it.
    private let live = Mutex<[Int32: Round]>([:])

    var numbers: [Int32] { live.withLock { Array($0.keys) } }

    var count: Int { running.load(ordering: .sequentiallyConsistent) }

    /// Where each thread is, by its number.
    var rounds: [Int32: UInt64] { live.withLock { $0.mapValues(\.now) } }

    /// Those that may hold a request that the journal does not know, each with the round that it is
    /// in.
    var openRounds: [(round: Round, number: UInt64)] {
        live.withLock { $0.values.compactMap { round in round.open.map { (round, $0) } } }
    }

    /// The calling thread runs from now on; its number.
    func entered(_ round: Round) -> Int32 {
        let number = ThreadSignal.currentThread
        live.withLock { $0[number] = round }
        return number
    }

    func left(_ number: Int32) { _ = live.withLock { $0.removeValue(forKey: number) } }

    /// Counts a thread that is about to start. False where there are enough.
    func add() -> Bool {
        if running.add(1, ordering: .relaxed).newValue <= Self.most { return true }
        running.subtract(1, ordering: .relaxed)
        return false
    }

    /// A thread that was counted did not start.
    func hasNotStarted() { running.subtract(1, ordering: .relaxed) }

    var isEnding: Bool { areEnding.load(ordering: .sequentiallyConsistent) }

    func end() { areEnding.store(true, ordering: .sequentiallyConsistent) }

    /// Counts a thread out; whether it was the last one to wait for.
    func remove() -> Bool {
        let left = running.subtract(1, ordering: .sequentiallyConsistent).newValue
        return left == 0 || isLastAwaited
    }

    /// The calling thread may hang with a target, and at the end nobody waits for it; whether it
    /// was the last one to wait for. Of two last ones, one that ends and one that leaves, at least
    /// one sees the other.
    func leavesForTarget() -> Bool {
        atTargets.add(1, ordering: .sequentiallyConsistent)
        return isLastAwaited
    }

    func isBackFromTarget() { atTargets.subtract(1, ordering: .sequentiallyConsistent) }

    private var isLastAwaited: Bool {
        guard isEnding else { return false }
        let away = atTargets.load(ordering: .sequentiallyConsistent)
        return running.load(ordering: .sequentiallyConsistent) <= away
    }
}
