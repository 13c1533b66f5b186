public import Synchronization

extension Atomic where Value == Int {
    /// Takes one off, unless the count is zero; says whether it did. In one total order with all
    /// that is.
    @inlinable
    public func takeOne() -> Bool {
        var seen = load(ordering: .sequentiallyConsistent)
        while seen > 0 {
            let (isTaken, now) = compareExchange(
                expected: seen, desired: seen - 1, ordering: .sequentiallyConsistent)
            if isTaken { return true }
            seen = now
        }
        return false
    }
}
