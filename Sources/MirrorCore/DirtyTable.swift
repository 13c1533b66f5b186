public final class DirtyTable: Sendable {
    public init(granularity: Granularity, gauge: WriteGauge) {}
    public func mark(_ range: ByteRange) -> Bool { false }
    public func markLength() -> Bool { false }
}
