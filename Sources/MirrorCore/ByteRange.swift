/// Bytes of an image: a half-open range of offsets, `lowerBound` up to but not including
/// `upperBound`.
///
/// Offsets are bytes from the start of the file. A range never wraps: `upperBound >= lowerBound`.
public struct ByteRange: Hashable, Sendable {
    public let lowerBound: UInt64
    public let upperBound: UInt64

    public init(_ lowerBound: UInt64, _ upperBound: UInt64) {
        precondition(lowerBound <= upperBound, "a range ends before it starts")
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    /// A range by its start and its length in bytes; an end past 2^64 is clamped.
    public init(at offset: UInt64, count: UInt64) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        self.init(offset, overflow ? .max : end)
    }

    public var count: UInt64 { upperBound - lowerBound }
    public var isEmpty: Bool { lowerBound == upperBound }

    /// The part of this range below `end`; empty where nothing of it is.
    public func clamped(below end: UInt64) -> ByteRange {
        ByteRange(min(lowerBound, end), min(upperBound, end))
    }

    /// Whether both have a byte in common.
    func overlaps(_ other: ByteRange) -> Bool {
        max(lowerBound, other.lowerBound) < min(upperBound, other.upperBound)
    }

    /// The bytes that both have.
    /// - Precondition: they overlap or touch.
    func intersection(_ other: ByteRange) -> ByteRange {
        ByteRange(max(lowerBound, other.lowerBound), min(upperBound, other.upperBound))
    }
}
