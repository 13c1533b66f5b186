/// How fast a job copies and the guest dirties, from samples about a second apart, smoothed over a
/// few.
public struct Progress: Sendable {
    /// Bytes a second; 0 until the second sample.
    public private(set) var rate = 0.0
    public private(set) var dirtyRate = 0.0
    /// The best rate seen: what the copier can do when it is let.
    public private(set) var bestRate = 0.0
    private var last: (time: Duration, copied: Int, remaining: Int)?

    public init() {}

    /// - Parameters:
    ///   - now: a monotonic time.
    ///   - copied: bytes taken off the remainder since the job began, recopied ones counted again.
    ///   - remaining: bytes dirty or in flight now.
    public mutating func sample(at now: Duration, copied: Int, remaining: Int) {
        defer { last = (now, copied, remaining) }
        guard let last, now > last.time else { return }
        let seconds = (now - last.time) / .seconds(1)
        let done = Double(copied - last.copied)
        // What came in is what went out plus what the remainder grew by.
        let dirtied = max(0, done + Double(remaining - last.remaining))
        let weight = rate == 0 && dirtyRate == 0 ? 1 : min(1, seconds / 3)
        rate += (done / seconds - rate) * weight
        bestRate = max(bestRate, done / seconds)
        dirtyRate += (dirtied / seconds - dirtyRate) * weight
    }

    /// Nothing is being copied or dirtied: the rates fall to zero, the best one is remembered.
    public mutating func rest() { (rate, dirtyRate, last) = (0, 0, nil) }

    /// Whether the remainder shrinks, or there is none to shrink.
    public func isConverging(remaining: Int) -> Bool {
        remaining == 0 || rate == 0 || rate > dirtyRate
    }

    /// Seconds until nothing is left at these rates; nil where that is never, or not known.
    public func secondsLeft(remaining: Int) -> Int? {
        if remaining == 0 { return 0 }
        guard rate > dirtyRate, rate >= 1 else { return nil }
        return Int(min((Double(remaining) / (rate - dirtyRate)).rounded(.up), 1e15))
    }

    /// Microseconds to copy `remaining` bytes with the guest held, at the best rate seen. Before
    /// anything was measured, 64 MiB/s is assumed: a slow disk.
    public func microsecondsToCopy(_ remaining: Int) -> Int {
        let assumed = bestRate >= 1 ? bestRate : Double(64 << 20)
        return Int(min(Double(remaining) / assumed * 1_000_000, 1e15))
    }
}
