import Synchronization

/// Runs something at most once. Any thread.
public final class FirstCall: Sendable {
    private let body: Mutex<(@Sendable () -> Void)?>

    public init(_ body: @escaping @Sendable () -> Void) { self.body = Mutex(body) }

    public func run() { body.withLock { $0.take() }?() }
}
