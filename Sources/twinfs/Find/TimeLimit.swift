import Dispatch
import MirrorCore
import MirrorTarget
import Synchronization

/// Runs what may never return, because it asks a mount that hangs.
enum TimeLimit {
    /// Seconds that a mount has to answer.
    static let seconds = 10

    /// What `body` returns or throws; `noAnswer`, about the thing `shown`, when it takes too long.
    static func run<Value: Sendable>(
        _ shown: String, _ body: @escaping @Sendable () throws -> Value
    ) throws -> Value {
        try run(late: { Mounted.noAnswer(shown) }, asking: body)
    }

    /// What `body` returns or throws; or, when it takes longer than `seconds`, what `late` answers:
    /// nil goes on waiting for as long again. A body that is given up keeps its thread until the
    /// program ends.
    static func run<Value: Sendable>(
        late: () -> Failure?, asking body: @escaping @Sendable () throws -> Value
    ) throws -> Value {
        let (outcome, done) = (Outcome<Value>(), DispatchSemaphore(value: 0))
        DispatchQueue(label: "twinfs.ask").async {
            let result = Result { try body() }
            outcome.result.withLock { $0 = result }
            done.signal()
        }
        while done.wait(timeout: .now() + .seconds(seconds)) == .timedOut {
            if let failure = late() { throw failure }
        }
        return try outcome.result.withLock { $0! }.get()
    }

    /// Written by the thread that asks, read by the one that waits.
    private final class Outcome<Value: Sendable>: Sendable {
        let result = Mutex<Result<Value, any Error>?>(nil)
    }
}
