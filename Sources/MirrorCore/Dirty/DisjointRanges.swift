/// Byte ranges that do not overlap, none of them empty, in ascending order.
///
/// Looking is O(log n). Inserting and removing move what lies behind: 16 KiB at a thousand ranges.
struct DisjointRanges: Sendable {
    private(set) var ranges: [ByteRange] = []

    /// The first range that ends after `offset`.
    func first(endingAfter offset: UInt64) -> ByteRange? {
        let index = index(endingAfter: offset)
        return index < ranges.count ? ranges[index] : nil
    }

    /// How many ranges share a byte with `range`. O(log n + that many).
    func overlapCount(_ range: ByteRange) -> Int {
        if range.isEmpty { return 0 }
        let first = index(endingAfter: range.lowerBound)
        return ranges[first...].prefix { $0.lowerBound < range.upperBound }.count
    }

    /// - Precondition: `range` is not empty and overlaps none.
    mutating func insert(_ range: ByteRange) {
        ranges.insert(range, at: index(endingAfter: range.lowerBound))
    }

    /// Removes `range`; says whether it was there.
    mutating func remove(_ range: ByteRange) -> Bool {
        let index = index(endingAfter: range.lowerBound)
        guard index < ranges.count, ranges[index] == range else { return false }
        ranges.remove(at: index)
        return true
    }

    /// Disjoint and ascending, so that the ends ascend too.
    private func index(endingAfter offset: UInt64) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
