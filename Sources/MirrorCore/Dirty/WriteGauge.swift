/// Counts the changes of an image that have begun and are not yet marked: from before the source is
/// written until after the mark (steps 1 and 5 of the shim).
///
/// The counters are striped by place, so that writers of different places do not meet on one cache
/// line. Reading all stripes is not one instant, and need not be: see `isIdle`.
public final class WriteGauge: Sendable {
    private static let stripes = 64
    /// Words from one stripe to the next: a cache line of 64 bytes.
    private static let spacing = 8

    private let counters = AtomicWords(count: stripes * spacing)

    public init() {}

    /// Counts a change of `range` as begun. One step for a range inside one shard, at most one a
    /// stripe.
    @inline(__always)
    public func enter(_ range: ByteRange) { add(1, range) }

    /// Counts it as done: its source write and its marks are over.
    @inline(__always)
    public func leave(_ range: ByteRange) { add(.max, range) }

    @inline(__always)
    private func add(_ value: UInt64, _ range: ByteRange) {
        let first = ShardIndex(containing: range.lowerBound).value
        let last = max(first, ShardIndex(containing: max(range.upperBound, 1) - 1).value)
        var shard = first
        let end = min(last, first + Self.stripes - 1)
        repeat {
            counters.add(value, (shard % Self.stripes) * Self.spacing)
            shard += 1
        } while shard <= end
    }

    /// Whether every stripe was seen at zero.
    ///
    /// The stripes are read one after the other. A caller who holds new changes back (`Gate`)
    /// learns that none is under way. A caller who does not, but who knows that nothing clears
    /// marks meanwhile, may conclude from an idle gauge followed by a table without marks: a change
    /// that was under way when the reading began, and was gone when its stripe was read, has left
    /// its mark by then, so the table would not be clean. There was none at the instant when the
    /// reading began. Claims must have been read before that instant: `DirtyTable.isInSync` does
    /// all three in order.
    public var isIdle: Bool {
        for stripe in 0..<Self.stripes where counters.load(stripe * Self.spacing) != 0 {
            return false
        }
        return true
    }

    /// Whether no change touches the stripe of `shard`; what a table needs to give a page back.
    func isIdle(_ shard: ShardIndex) -> Bool {
        counters.load((shard.value % Self.stripes) * Self.spacing) == 0
    }

    /// Whether no change is under way near this offset.
    public func isIdle(at offset: UInt64) -> Bool { isIdle(ShardIndex(containing: offset)) }
}
