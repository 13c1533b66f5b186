import Synchronization

/// The shards' locks, striped, and under them what is being written to the twin: claims and
/// forwards.
///
/// Each lock protects the `Holds` of its shards, and every step of a shard between clean, paged and
/// all dirty. Nothing is called out under it, and it is taken last of all locks (R6).
@safe
package final class ClaimLocks: Sendable {
    private static let stripes = 64
    private let locks = InlineArray<64, Mutex<Holds>> { _ in Mutex(Holds()) }

    /// Runs `body` with the holds of the shard's stripe, counted from the start of the image.
    func withLock<Result>(ofShard shard: Int, _ body: (inout Holds) -> Result) -> Result {
        locks[shard % Self.stripes].withLock { body(&$0) }
    }
}

/// Granules on their way to the twin, and where that is noted for a successor
/// (`SharedMarks.claims`).
struct Claim: Sendable {
    let granules: Range<Int>
    let slot: Int?
}

/// What is on its way to the twin in the shards of one stripe. No granule is in both kinds (R3).
struct Holds: Sendable {
    /// Granules that the copier has taken and whose copy is not finished.
    var claims: [Claim] = []
    /// Bytes of guest writes that go to the twin beside the source, each inside one shard. One
    /// granule may have several.
    var forwards = DisjointRanges()
    /// What somebody compares, in one of these shards.
    var watch: Watch?

    /// The claim that `granule` is in.
    func claim(of granule: Int) -> Range<Int>? {
        claims.first { $0.granules.contains(granule) }?.granules
    }

    /// The granules of the first forward that is in `granule`, or behind it.
    func forwarded(from granule: Int, _ granularity: Granularity) -> Range<Int>? {
        let start = granularity.bytes(of: granule..<granule).lowerBound
        return forwards.first(endingAfter: start).map { granularity.granules(touching: $0) }
    }

    /// Where the next claim after `granule` begins.
    func nextClaim(after granule: Int) -> Int? {
        claims.lazy.map(\.granules.lowerBound).filter { $0 > granule }.min()
    }
}
