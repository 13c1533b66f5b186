import MirrorSystem
import Synchronization

/// Which request threads wait for a request: few, the others are parked. Few threads find their
/// buffers in the processor's cache, and do not queue in the kernel for the lock of one file.
/// `docs/performance-log.md` has figures.
///
/// A reader that may block has another called before. What nobody foresaw, `StallWatch` sees.
final class Readers: Sendable {
    /// How many are to wait or work at the same time while nothing blocks: one more than
    /// processors.
    static let usual = max(3, min(16, Machine.processors + 1))

    private let waiting = Atomic<Int>(0)
    private let parked = Atomic<Int>(0)
    private let calls = Semaphore()
    private let areEnding = Atomic<Bool>(false)

    /// Whether nobody waits for the next request.
    var haveNone: Bool { waiting.load(ordering: .sequentiallyConsistent) == 0 }

    /// Whether the calling thread is to wait for a request, counted from now on; if not, it is to
    /// park.
    @inline(__always)
    func enter() -> Bool {
        if waiting.add(1, ordering: .sequentiallyConsistent).newValue <= Self.usual { return true }
        if areEnding.load(ordering: .relaxed) { return true }
        waiting.subtract(1, ordering: .sequentiallyConsistent)
        return false
    }

    /// The calling thread has waited; whether nobody waits for the next request.
    @inline(__always)
    func leave() -> Bool {
        waiting.subtract(1, ordering: .sequentiallyConsistent).newValue == 0
    }

    /// Those that do not work.
    var idle: Int {
        waiting.load(ordering: .sequentiallyConsistent)
            + parked.load(ordering: .sequentiallyConsistent)
    }

    /// Waits until another reader is wanted, for requests or because `isWanted`. Of a thread that
    /// parks and the last reader that leaves, at least one sees the other: each writes its own
    /// count before it reads the other's.
    func park(unless isWanted: () -> Bool = { false }) {
        parked.add(1, ordering: .sequentiallyConsistent)
        let mayNot = haveNone || areEnding.load(ordering: .sequentiallyConsistent) || isWanted()
        if mayNot, parked.takeOne() { return }
        calls.wait()
    }

    /// Has a parked thread wait for requests. False where none is parked.
    func call() -> Bool {
        guard parked.takeOne() else { return false }
        calls.signal()
        return true
    }

    /// Nobody parks any more.
    func end() {
        areEnding.store(true, ordering: .sequentiallyConsistent)
        while call() {}
    }
}

/// Whether requests of a kind have been slow of late, so slow that their threads blocked.
///
/// Written by all threads without order: a lost count changes no result, only when a thread is
/// called.
struct Slowness: ~Copyable, Sendable {
    /// What a copy of the bytes may take besides, at 2 GiB a second or more.
    private static let usual = 100_000
    private let score = Atomic<Int>(0)

    /// More than about one in nine.
    @inline(__always)
    var isLikely: Bool { score.load(ordering: .relaxed) >= 32 }

    /// - Parameter nanoseconds: what a request for `bytes` took.
    @inline(__always)
    func note(_ nanoseconds: Int, bytes: Int) {
        let now = score.load(ordering: .relaxed)
        let isSlow = nanoseconds > Self.usual + bytes / 2
        let next = isSlow ? min(64, now + 8) : max(0, now - 1)
        if next != now { score.store(next, ordering: .relaxed) }
    }
}
