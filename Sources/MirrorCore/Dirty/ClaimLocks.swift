import Synchronization

/// The shards' locks, striped, and under them the claims: granules that the copier has taken and whose
/// copy is not finished.
///
/// Each lock protects the claims of its shards, and every step of a shard between clean, paged and all
/// dirty. Nothing is called out under it, and it is taken last of all locks (R6).
@safe
final class ClaimLocks: Sendable {
    private static let stripes = 64
    private let locks = InlineArray<64, Mutex<[Range<Int>]>> { _ in Mutex([]) }

    /// Runs `body` with the claims of the shard's stripe; granules counted from the start of the image.
    func withLock<Result>(ofShard shard: Int, _ body: (inout [Range<Int>]) -> Result) -> Result {
        locks[shard % Self.stripes].withLock { body(&$0) }
    }
}
