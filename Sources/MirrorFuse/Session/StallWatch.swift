import MirrorSystem
import Synchronization

/// When to look at the request threads: while none of them waits for a request.
final class StallWatch: Sendable {
    /// What a request may wait for because all readers block and nobody foresaw it.
    static let interval = Duration.milliseconds(2)
    /// Looks in a row that find somebody waiting before it sleeps: waking it costs the guest's
    /// request.
    static let patience = 16

    private let isAsleep = Atomic<Bool>(false)
    private let wakes = Semaphore()

    /// Called by a thread that took a request while nobody waits for the next.
    @inline(__always)
    func isNeeded() { if isAsleep.load(ordering: .sequentiallyConsistent) { wake() } }

    func wake() {
        if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { wakes.signal() }
    }

    /// A request taken after `isAsleep` was set wakes; one taken before is seen here.
    func sleep(unless isNeeded: () -> Bool) {
        isAsleep.store(true, ordering: .sequentiallyConsistent)
        if isNeeded(), isAsleep.exchange(false, ordering: .sequentiallyConsistent) { return }
        wakes.wait()
    }
}

extension Session {
    /// Makes up for request threads that are stuck, that is, with the same request since the look
    /// before. On a thread of its own, until the session ends.
    func watchForStalls() {
        var (quiet, rounds) = (0, [Int32: UInt64]())
        while !threads.live.isEnding {
            quiet = threads.readers.haveNone ? 0 : quiet + 1
            if quiet > StallWatch.patience {
                threads.stallWatch.sleep { threads.live.isEnding || threads.readers.haveNone }
                quiet = 0
            }
            let now = threads.live.rounds
            // Stuck, or parked.
            let atRest = now.count { $0.value & 1 != 0 && rounds[$0.key] == $0.value }
            for _ in 0..<max(0, Readers.usual - (now.count - atRest)) { callReader() }
            rounds = now
            PlainThread.sleep(StallWatch.interval)
        }
    }

    /// Has one more thread wait for requests. Where none can be started now, the watch tries again.
    func callReader() {
        if !threads.readers.call(), !startThread() { threads.stallWatch.isNeeded() }
    }

    /// All threads are to end, or will be told by the kernel.
    func endThreads() {
        threads.live.end()
        threads.readers.end()
        threads.stallWatch.wake()
    }
}
