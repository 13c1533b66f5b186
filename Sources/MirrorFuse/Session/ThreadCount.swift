import MirrorSystem
import Synchronization

/// How many request threads there are, and how many of them wait for a request.
struct ThreadCount: ~Copyable, Sendable {
    /// Threads that are there from the start: as many as a guest's usual queue is deep, so that none of
    /// its requests waits for a thread to start. Between 8 and 16 a busy machine of two processors shows
    /// no difference above its noise.
    static let warm = 16
    /// Most threads, so that many slow flushes at once cost a bounded amount of memory (2 MiB each).
    static let most = 64
    /// Those of `most` that only answer for what cannot hang, once all others are at work (`Backlog`).
    static let reserve = 8

    private let running = Atomic<Int>(0)
    private let idle = Atomic<Int>(0)
    /// Those of `running` that may hang with a target.
    private let atTargets = Atomic<Int>(0)
    /// The mount is gone, or `drain` was called.
    private let areEnding = Atomic<Bool>(false)

    /// The system's numbers of the threads that run now. Nothing is called under it.
    private let live = Mutex<[Int32: Round]>([:])

    var numbers: [Int32] { live.withLock { Array($0.keys) } }

    /// Those that may hold a request that the journal does not know, each with the round that it is in.
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

    /// All threads are to end, or will be told by the kernel.
    func end() { areEnding.store(true, ordering: .sequentiallyConsistent) }

    /// Counts a thread out; whether it was the last one to wait for.
    func remove() -> Bool {
        let left = running.subtract(1, ordering: .sequentiallyConsistent).newValue
        return left == 0 || isLastAwaited
    }

    /// The calling thread may hang with a target, and at the end nobody waits for it; whether it was the last one to
    /// wait for. Of two last ones, one that ends and one that leaves, at least one sees the other.
    func leavesForTarget() -> Bool {
        atTargets.add(1, ordering: .sequentiallyConsistent)
        return isLastAwaited
    }

    func isBackFromTarget() { atTargets.subtract(1, ordering: .sequentiallyConsistent) }

    private var isLastAwaited: Bool {
        guard areEnding.load(ordering: .sequentiallyConsistent) else { return false }
        let away = atTargets.load(ordering: .sequentiallyConsistent)
        return running.load(ordering: .sequentiallyConsistent) <= away
    }

    @inline(__always)
    func waits() { idle.add(1, ordering: .sequentiallyConsistent) }

    /// A thread took a request; how many others wait for the next one.
    @inline(__always)
    func works() -> Int { idle.subtract(1, ordering: .sequentiallyConsistent).newValue }

    /// Whether only the reserve is not at work, when so many threads wait for a request. One that is being started counts
    /// as one at work.
    @inline(__always)
    func areScarce(waiting: Int) -> Bool {
        running.load(ordering: .relaxed) - waiting > Self.most - Self.reserve
    }

    /// The same as `works`, but not where only the reserve is left; nil there.
    func worksUnlessScarce() -> Int? {
        var waiting = idle.load(ordering: .sequentiallyConsistent)
        while !areScarce(waiting: waiting - 1) {
            let (isDone, now) = idle.compareExchange(
                expected: waiting, desired: waiting - 1, ordering: .sequentiallyConsistent)
            if isDone { return waiting - 1 }
            waiting = now
        }
        return nil
    }
}
