import Synchronization

/// How many request threads there are, and how many of them wait for a request.
struct ThreadCount: ~Copyable, Sendable {
    /// Threads that are there from the start. Two per processor of a small host serve a queue of cached
    /// I/O; more only add switches.
    static let warm = 8
    /// Most threads, so that many slow flushes at once cost a bounded amount of memory (2 MiB each).
    static let most = 64

    private let running = Atomic<Int>(0)
    private let idle = Atomic<Int>(0)

    /// Counts a thread that is about to start. False where there are enough.
    func add() -> Bool {
        if running.add(1, ordering: .relaxed).newValue <= Self.most { return true }
        running.subtract(1, ordering: .relaxed)
        return false
    }

    /// Counts a thread out; whether it was the last.
    func remove() -> Bool { running.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }

    @inline(__always)
    func waits() { idle.add(1, ordering: .relaxed) }

    /// A thread took a request; whether nobody waits for the next one.
    @inline(__always)
    func works() -> Bool { idle.subtract(1, ordering: .relaxed).newValue == 0 }
}
