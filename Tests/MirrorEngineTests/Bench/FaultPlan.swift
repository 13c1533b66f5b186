import MirrorSystem
import Synchronization
import SystemPackage

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// Lets chosen calls on a target fail: the Nth call, once or from then on. Given to an engine, it
/// puts itself between each twin and its store (`FaultyStore`).
final class FaultPlan: Sendable {
    enum Call: Sendable { case read, write, zero, setSize, flush, publish }

    let error: Errno
    private let only: Call?
    private enum Due {
        case once(Int)
        case from(Int)
        case every(Int)
    }
    private let due: Due
    private let state = Mutex(State())

    private struct State {
        var calls = 0
        var isMended = false
        var wasReached = false
        var counts: [Call: Int] = [:]
        var hung: Set<Call> = []
    }

    /// - Parameters:
    ///   - first: number of the call that fails, from 1.
    ///   - isLasting: whether all later ones fail too, until `mend`.
    ///   - only: calls of another kind neither count nor fail.
    init(error: Errno, first: Int, isLasting: Bool, only: Call? = nil) {
        self.only = only
        self.error = error
        due = isLasting ? .from(first) : .once(first)
    }

    /// - Parameter every: of so many calls the last one fails.
    init(error: Errno, every: Int) {
        self.error = error
        only = nil
        due = .every(every)
    }

    /// Whether any call has failed.
    var wasReached: Bool { state.withLock { $0.wasReached } }

    /// The disk is well again.
    func mend() { state.withLock { $0.isMended = true } }

    /// It is broken again.
    func relapse() { state.withLock { $0.isMended = false } }

    /// How often a call was made.
    func count(of call: Call) -> Int { state.withLock { $0.counts[call] ?? 0 } }

    /// Calls of this kind do not return until they may.
    func hang(_ call: Call) { state.withLock { _ = $0.hung.insert(call) } }
    func endHang(_ call: Call) { state.withLock { _ = $0.hung.remove(call) } }

    /// Counts a call; throws where it is to fail.
    func pass(_ call: Call) throws(Errno) {
        let fails = state.withLock { state in
            if let only, call != only { return false }
            state.calls += 1
            state.counts[call, default: 0] += 1
            let isDue =
                switch due {
                case .once(let number): state.calls == number
                case .from(let number): state.calls >= number
                case .every(let count): state.calls % count == 0
                }
            guard isDue, !state.isMended else { return false }
            state.wasReached = true
            return true
        }
        while state.withLock({ $0.hung.contains(call) }) { PlainThread.sleep(.milliseconds(1)) }
        if fails { throw error }
    }
}
