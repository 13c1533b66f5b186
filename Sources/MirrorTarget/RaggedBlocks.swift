import MirrorCore
import Synchronization

/// Blocks of the target's filesystem that have become zero piece by piece, and so are still
/// allocated. They come up where granules are smaller than such a block; where they are not,
/// nothing is kept.
///
/// A block cannot be given back by whoever finds it: another lane may be writing its other half.
/// The job marks it whole, and the copier, who then has all of it (R3), makes a hole of it.
final class RaggedBlocks: Sendable {
    /// More than these are not kept at a time.
    private static let most = 1 << 10

    /// Nil where no block can become ragged.
    private let block: UInt64?
    /// How often a block was told: not again and again, so that marking ends, but more than once,
    /// since a block that is marked with its neighbours may again be copied in pieces.
    private let state = Mutex((found: Set<UInt64>(), told: [UInt64: Int]()))
    private static let mostTold = 4

    /// - Parameter matters: whether blocks are given back at all.
    init(block: Int, granularity: Granularity, matters: Bool) {
        self.block = matters && granularity.bytes < block ? UInt64(block) : nil
    }

    /// Starts of the blocks of which `range` is only a part.
    func edges(of range: ByteRange) -> Set<UInt64> {
        guard let block, !range.isEmpty else { return [] }
        var edges = Set<UInt64>()
        if range.lowerBound % block != 0 { edges.insert(range.lowerBound / block * block) }
        if range.upperBound % block != 0 { edges.insert(range.upperBound / block * block) }
        return edges
    }

    /// The block's bytes.
    func range(_ start: UInt64) -> ByteRange { ByteRange(at: start, count: block ?? 0) }

    /// The block that starts there is zero and not a hole.
    func found(_ start: UInt64) {
        state.withLock { state in
            let told = state.told[start] ?? 0
            guard told < Self.mostTold, told > 0 || state.told.count < Self.most else { return }
            if state.found.insert(start).inserted { state.told[start] = told + 1 }
        }
    }

    /// Other bytes were written to these blocks, or holes made of them.
    func forget(_ range: ByteRange) {
        guard let block, !range.isEmpty else { return }
        state.withLock { state in
            guard !state.told.isEmpty else { return }
            let first = range.lowerBound / block * block
            state.told = state.told.filter { $0.key < first || $0.key >= range.upperBound }
        }
    }

    /// The blocks found since the last call.
    func take() -> [ByteRange] {
        guard block != nil else { return [] }
        let found = state.withLock { state in
            defer { state.found = [] }
            return state.found
        }
        return found.sorted().map(range)
    }
}
