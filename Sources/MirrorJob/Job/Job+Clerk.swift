import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget

// How the job leaves its queue, and comes back to it.

extension Job {
    /// Every `var` of the job and of its parts is touched here only.
    func assertOnQueue() { dispatchPrecondition(condition: .onQueue(queue)) }

    /// Has the clerk do something, and goes on with what came of it: the activity is under way
    /// until then.
    func onClerk<Result: Sendable>(
        _ activity: Activity, _ work: @escaping @Sendable () -> Result,
        then: @escaping @Sendable (Result) -> Void
    ) {
        assertOnQueue()
        underWay.enter(activity)
        askClerk(work) { [self] result in
            underWay.leave(activity)
            then(result)
            advance()
        }
    }

    /// Has the clerk do something that is in nobody's way, and that changes nothing of what is
    /// copied next.
    func askClerk<Result: Sendable>(
        _ work: @escaping @Sendable () -> Result, then: @escaping @Sendable (Result) -> Void
    ) {
        clerk.async { [self] in
            let result = work()
            queue.async { [self] in
                assertOnQueue()
                then(result)
            }
        }
    }

    /// Calls `body` on the queue after a while, unless the job is gone by then.
    func later(_ interval: DispatchTimeInterval, _ body: @escaping @Sendable (Job) -> Void) {
        queue.asyncAfter(deadline: .now() + interval) { [weak self] in
            if let self { body(self) }
        }
    }
}
