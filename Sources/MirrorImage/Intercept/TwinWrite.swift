import MirrorCore
import MirrorSystem
import Synchronization

/// The part of one guest write that is forwarded to one twin. Only `Forwarder` changes it;
/// `ForwardMachine` says what happens when.
package final class TwinWrite: Sendable {
    let pieces: [ByteRange]
    /// Whether the file was truncated since the write began.
    let wasTruncated: @Sendable () -> Bool
    /// When the guest began to wait for the twin, by `Stopwatch`; where the request's own thread
    /// writes the twin, that is once the source is written.
    private let begun = Atomic<Int>(.max)

    /// Nothing is called under the lock.
    private let state: Mutex<State>

    private struct State {
        var machine = ForwardMachine()
        /// Called once: when the guest need not wait any more.
        var done: (@Sendable () -> Void)?
    }

    init(
        _ pieces: [ByteRange], wasTruncated: @escaping @Sendable () -> Bool,
        done: @escaping @Sendable () -> Void
    ) {
        (self.pieces, self.wasTruncated) = (pieces, wasTruncated)
        state = Mutex(State(done: done))
    }

    var byteCount: Int { pieces.reduce(0) { $0 + Int($1.count) } }

    /// The guest waits for the twin from here on.
    func beginWait() { begun.store(Stopwatch.nanoseconds, ordering: .relaxed) }

    /// Whether the guest has waited for the twin since before `instant`.
    package func hasWaited(since instant: Int) -> Bool { begun.load(ordering: .relaxed) < instant }

    var isAbandoned: Bool { state.withLock { $0.machine.isAbandoned } }

    /// - Returns: what is to be performed now, and whether `event` changed anything.
    func handle(_ event: ForwardMachine.Event) -> (actions: ForwardMachine.Actions, isNews: Bool) {
        state.withLock { state in
            let isNews = state.machine.awaitsTarget
            return (state.machine.handle(event), isNews)
        }
    }

    func tellDone() { state.withLock { $0.done.take() }?() }

    /// The parts of `range` that are in no piece.
    func gaps(in range: ByteRange) -> [ByteRange] {
        var gaps: [ByteRange] = []
        var next = range.lowerBound
        for piece in pieces {
            if piece.lowerBound > next { gaps.append(ByteRange(next, piece.lowerBound)) }
            next = piece.upperBound
        }
        if next < range.upperBound { gaps.append(ByteRange(next, range.upperBound)) }
        return gaps
    }
}
