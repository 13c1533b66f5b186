/// The states of 4096 shards (512 GiB of an image), and a summary with one bit for each that may be
/// dirty.
@safe
final class DirtyRegion: Sendable {
    static let shards = 4096

    /// What a shard's word says: nothing dirty, everything dirty, or where its page is.
    @unsafe
    enum State {
        case clean
        case full
        case page(Unmanaged<DirtyPage>)
    }

    private static let cleanWord: UInt64 = 0
    private static let fullWord: UInt64 = 1

    /// Those of the first 64 GiB are near: most images end there.
    private let states = LongWords(count: shards, near: 512)
    private let summary = AtomicWords(count: shards / 64)

    deinit {
        for shard in 0..<states.used {
            if case .page(let page) = unsafe state(shard) { unsafe page.release() }
        }
    }

    @inline(__always)
    @unsafe
    func state(_ shard: Int) -> State {
        switch states.load(shard) {
        case Self.cleanWord: return unsafe .clean
        case Self.fullWord: return unsafe .full
        case let word: return unsafe .page(Self.page(word))
        }
    }

    /// Makes sure that the shard is still all dirty, as one atomic step on the word that the copier
    /// changes before it clears anything: what the marker wrote before is then seen by the copier's
    /// read.
    @inline(__always)
    func isStillFull(_ shard: Int) -> Bool {
        states.replace(Self.fullWord, with: Self.fullWord, shard).0
    }

    // Under the shard's lock:

    func makeFull(_ shard: Int) { states.store(Self.fullWord, shard) }
    func makeClean(_ shard: Int) { states.store(Self.cleanWord, shard) }

    @unsafe
    func put(_ page: Unmanaged<DirtyPage>, _ shard: Int) {
        states.store(UInt64(UInt(bitPattern: unsafe page.toOpaque())), shard)
    }

    // The summary:

    /// Notes that `shard` may be dirty; says whether it is the first of its summary word.
    func note(_ shard: Int) -> Bool { summary.set(1 << UInt64(shard % 64), shard / 64) == 0 }
    func forget(_ shard: Int) { _ = summary.clear(1 << UInt64(shard % 64), shard / 64) }

    /// The first shard at or after `shard` that may be dirty. O(64) at most.
    func firstNoted(from shard: Int) -> Int? {
        var shard = shard
        while shard < Self.shards {
            let noted = summary.load(shard / 64) & (.max << UInt64(shard % 64))
            if noted != 0 { return shard / 64 * 64 + noted.trailingZeroBitCount }
            shard = (shard / 64 + 1) * 64
        }
        return nil
    }

    var pageCount: Int {
        (0..<states.used).count { states.load($0) > Self.fullWord }
    }

    private static func page(_ word: UInt64) -> Unmanaged<DirtyPage> {
        unsafe .fromOpaque(UnsafeRawPointer(bitPattern: UInt(word))!)
    }
}
