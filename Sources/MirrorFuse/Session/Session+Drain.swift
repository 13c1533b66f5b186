import MirrorSystem
import Synchronization

// A planned end: the mount stays, and a successor serves it.

extension Session {
    @inline(__always)
    var isDraining: Bool { life.stopping.load(ordering: .relaxed) }

    /// Interrupts the threads that wait for a request; the others end after the one that they work
    /// on. A thread that is between its look at the flag and the call that waits misses the first
    /// signal, so signals are sent until all have ended.
    func drain(_ patience: Duration) {
        ThreadSignal.prepare()
        life.stopping.store(true, ordering: .sequentiallyConsistent)
        endThreads()
        let end = ContinuousClock.now + patience
        while ContinuousClock.now < end {
            for thread in threads.live.numbers { ThreadSignal.interrupt(thread) }
            if life.ended.isOpen { break }
            PlainThread.sleep(.milliseconds(1))
        }
        life.ended.open()
    }
}
