import Foundation
import MirrorSystem
import Synchronization
import Testing

@testable import MirrorFuse

@Suite struct ReadersTests {
    @Test func `as many readers as usual wait, the next one parks until it is called`() {
        let readers = Readers()
        for _ in 0..<Readers.usual { #expect(readers.enter()) }
        #expect(!readers.enter())
        #expect(!readers.call())
        let isBack = Atomic<Bool>(false)
        let parked = Latch()
        Thread {
            readers.park()
            isBack.store(true, ordering: .sequentiallyConsistent)
            parked.open()
        }.start()
        while !readers.call() { PlainThread.sleep(.milliseconds(1)) }
        parked.wait()
        let isSo = isBack.load(ordering: .sequentiallyConsistent)
        #expect(isSo)
        #expect(!readers.call())
    }

    @Test func `only the last reader to leave is told so, and then nobody parks`() {
        let readers = Readers()
        for _ in 0..<Readers.usual { #expect(readers.enter()) }
        for _ in 1..<Readers.usual { #expect(!readers.leave()) }
        #expect(!readers.haveNone)
        #expect(readers.leave() && readers.haveNone)
        // Returns.
        readers.park()
        #expect(readers.enter())
    }

    @Test func `a reader that waits or is parked does not work, and none parks that is wanted`() {
        let readers = Readers()
        for _ in 0..<Readers.usual { #expect(readers.enter()) }
        Thread { readers.park() }.start()
        while readers.idle <= Readers.usual { PlainThread.sleep(.milliseconds(1)) }
        #expect(readers.idle == Readers.usual + 1)
        // Returns.
        readers.park { true }
        #expect(readers.idle == Readers.usual + 1)
        #expect(!readers.leave() && readers.idle == Readers.usual)
        #expect(readers.call() && readers.idle == Readers.usual - 1)
    }

    @Test func `all readers wait at the end, and those that park come back`() {
        let readers = Readers()
        for _ in 0..<Readers.usual { #expect(readers.enter()) }
        let back = (0..<4).map { _ in Latch() }
        for latch in back {
            Thread {
                readers.park()
                latch.open()
            }.start()
        }
        readers.end()
        for latch in back { latch.wait() }
        #expect(readers.enter())
    }

    /// Threads that park while the last reader leaves: one of the two must see the other, or a
    /// request waits for ever. Every thread blocks with its request until all of a round are
    /// received.
    @Test func `no request is left while threads are parked`() {
        let mount = Mount()
        let threads = Readers.usual + 5
        for _ in 0..<threads { Thread { mount.serve() }.start() }
        for round in 0..<5000 {
            for _ in 0..<threads { mount.requests.signal() }
            let limit = ContinuousClock.now + .seconds(30)
            while mount.received.load(ordering: .acquiring) < threads * (round + 1) {
                guard ContinuousClock.now < limit else {
                    Issue.record("a request was left in round \(round)")
                    return
                }
                PlainThread.sleep(.zero)
            }
            for _ in 0..<threads { mount.answers.signal() }
        }
        mount.isOver.store(true, ordering: .sequentiallyConsistent)
        mount.readers.end()
        for _ in 0..<threads {
            mount.requests.signal()
            mount.answers.signal()
        }
    }

    @Test func `a kind is slow when more than one in nine was, and quick again when none is`() {
        let kind = Kind()
        for _ in 0..<1000 { kind.slowness.note(50_000, bytes: 4096) }
        #expect(!kind.isSlow)
        // 1 MiB may take a while.
        for _ in 0..<1000 { kind.slowness.note(550_000, bytes: 1 << 20) }
        #expect(!kind.isSlow)
        for _ in 0..<4 { kind.slowness.note(550_000, bytes: 4096) }
        #expect(kind.isSlow)
        for _ in 0..<64 { kind.slowness.note(50_000, bytes: 4096) }
        #expect(!kind.isSlow)
        for index in 0..<1000 { kind.slowness.note(index % 16 == 0 ? 500_000 : 5_000, bytes: 4096) }
        #expect(!kind.isSlow)
        for index in 0..<1000 { kind.slowness.note(index % 5 == 0 ? 500_000 : 5_000, bytes: 4096) }
        #expect(kind.isSlow)
    }

    private final class Kind {
        let slowness = Slowness()
        var isSlow: Bool { slowness.isLikely }
    }

    private final class Mount: Sendable {
        let readers = Readers()
        let requests = Semaphore()
        let answers = Semaphore()
        let received = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)

        func serve() {
            while !isOver.load(ordering: .relaxed) {
                guard readers.enter() else {
                    readers.park()
                    continue
                }
                requests.wait()
                if readers.leave() { _ = readers.call() }
                received.add(1, ordering: .releasing)
                answers.wait()
            }
        }
    }
}
