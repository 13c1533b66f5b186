internal import Glibc

extension UnsafeRawBufferPointer {
    /// Whether both have the same bytes in `range`, which lies inside both. Corresponds to
    /// `memcmp(3)`.
    public func isEqual(to other: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        precondition(range.upperBound <= count && range.upperBound <= other.count)
        guard !range.isEmpty, let own = baseAddress, let other = other.baseAddress else {
            return true
        }
        return memcmp(own + range.lowerBound, other + range.lowerBound, range.count) == 0
    }
}
