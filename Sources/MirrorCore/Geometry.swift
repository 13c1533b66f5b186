/// The unit of dirty tracking and its arithmetic. The one place where bytes, granules and shards
/// are turned into each other.
public struct Granularity: Hashable, Sendable {
    /// 512 bytes to 64 MiB, the limits of QEMU's `granularity`.
    public static let allowed = 512...(64 << 20)
    public static let standard = Granularity(bytes: 4096)!

    /// log2 of the granule's size.
    let shift: Int

    /// Nil unless `bytes` is a power of two in `allowed`.
    public init?(bytes: Int) {
        guard Self.allowed.contains(bytes), bytes.nonzeroBitCount == 1 else { return nil }
        shift = bytes.trailingZeroBitCount
    }

    public var bytes: Int { 1 << shift }

    /// Granules in one shard: 128 MiB over the granularity, 2 to 262,144.
    var granulesPerShard: Int { 1 << (ShardIndex.shift - shift) }

    /// The shard that a granule lies in; a shift, as `mark` has no time for a division.
    @inline(__always)
    func shard(of granule: Int) -> Int { granule >> (ShardIndex.shift - shift) }

    /// Every granule that `range` touches, partial ones included. With 4 KiB granules the bytes
    /// 4095..<4097 touch granules 0 and 1.
    @inline(__always)
    public func granules(touching range: ByteRange) -> Range<Int> {
        let first = Int(range.lowerBound >> UInt64(shift))
        if range.isEmpty { return first..<first }
        return first..<(Int((range.upperBound - 1) >> UInt64(shift)) + 1)
    }

    /// The bytes of `granules`, whole.
    public func bytes(of granules: Range<Int>) -> ByteRange {
        ByteRange(
            UInt64(granules.lowerBound) << UInt64(shift),
            UInt64(granules.upperBound) << UInt64(shift))
    }
}

/// A fixed slice of 128 MiB of an image's offsets, with its own lock and its own part of the table.
struct ShardIndex: Hashable, Sendable {
    /// log2 of a shard's size in bytes.
    static let shift = 27

    let value: Int

    init(_ value: Int) { self.value = value }

    @inline(__always)
    init(containing offset: UInt64) { value = Int(offset >> UInt64(Self.shift)) }
}
