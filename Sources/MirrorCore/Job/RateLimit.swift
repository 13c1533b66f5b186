/// A ceiling in bytes a second, kept as a bucket that fills with time and never holds more than 100
/// ms.
public struct RateLimit: Sendable {
    /// Bytes a second; 0 is no limit.
    public private(set) var bytesPerSecond: Int
    private var allowance: Double = 0
    private var last: Duration?

    public init(bytesPerSecond: Int) { self.bytesPerSecond = bytesPerSecond }

    /// Changes the ceiling; what had been saved up is gone.
    public mutating func set(_ bytesPerSecond: Int) {
        self.bytesPerSecond = bytesPerSecond
        allowance = 0
    }

    /// Changes the ceiling as it is done often: what is owed is owed still, in time.
    public mutating func change(_ bytesPerSecond: Int) {
        let owed = self.bytesPerSecond > 0 ? min(0, allowance) / Double(self.bytesPerSecond) : 0
        self.bytesPerSecond = bytesPerSecond
        allowance = owed * Double(bytesPerSecond)
    }

    /// Whether something may be copied at `now` (a monotonic time), and how long to wait where not.
    /// A copy larger than the allowance is let through and paid for afterwards.
    public mutating func wait(at now: Duration) -> Duration? {
        guard bytesPerSecond > 0 else { return nil }
        let elapsed = last.map { (now - $0) / .seconds(1) } ?? 0.1
        last = now
        allowance = min(allowance + elapsed * Double(bytesPerSecond), Double(bytesPerSecond) / 10)
        if allowance > 0 { return nil }
        return .seconds(max(0.001, -allowance / Double(bytesPerSecond)))
    }

    /// Notes that `bytes` are being copied.
    public mutating func spend(_ bytes: Int) {
        if bytesPerSecond > 0 { allowance -= Double(bytes) }
    }
}
