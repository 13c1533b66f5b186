import MirrorCore
import MirrorSystem

/// Guests that write, forwarding some of it, and a copier; each as the engine does it.
final class Victim: Sendable {
    private let table: DirtyTable
    private let gauge = WriteGauge()
    private let slots = SlotNumbers()
    private let order = RangeOrder()
    private let world: World

    init(_ memory: SharedMemory, _ world: World) throws {
        self.world = world
        let bytes = TableMemory(memory.bytes) { memory.giveBack(at: $0, count: $1) }
        guard let table = DirtyTable(recovering: bytes, gauge: gauge) else {
            fatalError("there is no table to recover")
        }
        self.table = table
    }

    /// Bursts within a shard, so that the others come to rest and give their pages back.
    func beGuest(_ number: UInt64) {
        var random = SystemRandomNumberGenerator()
        var value = number
        while true {
            let base = Int.random(in: 0..<3, using: &random) * World.granulesPerShard
            for _ in 0..<Int.random(in: 1...60, using: &random) {
                let first = base + Int.random(in: 0..<200, using: &random) * 10
                let granules = first..<first + Int.random(in: 1...9, using: &random)
                value += 2
                switch Int.random(in: 0..<10, using: &random) {
                case 0: resize(value)
                case 1..<5: forward(value, granules.lowerBound)
                default: write(value, granules)
                }
            }
        }
    }

    private func write(_ value: UInt64, _ granules: Range<Int>) {
        let range = World.granularity.bytes(of: granules)
        gauge.enter(range)
        let slot = begin(range)
        for granule in granules { world.source[granule] = value }
        _ = table.mark(range)
        end(range, slot)
    }

    /// A granule that goes to source and twin side by side, if it may; else it is marked.
    private func forward(_ value: UInt64, _ granule: Int) {
        let range = World.granularity.bytes(of: granule..<granule + 1)
        guard order.begin(range) else { return write(value, granule..<granule + 1) }
        gauge.enter(range)
        let slot = begin(range)
        var pieces: [ByteRange] = []
        table.beginForward(range, into: &pieces)
        let isTwinFirst = Bool.random()
        if !pieces.isEmpty, isTwinFirst { world.twin[granule] = value }
        world.source[granule] = value
        if !pieces.isEmpty, !isTwinFirst { world.twin[granule] = value }
        if pieces.isEmpty { _ = table.mark(range) }
        for piece in pieces { _ = table.endForward(piece) }
        for go in order.end(range) { go() }
        end(range, slot)
    }

    private func resize(_ value: UInt64) {
        let range = ByteRange(0, 0)
        gauge.enter(range)
        let slot = begin(range, isTruncation: false)
        world.lengths[0] = value
        _ = table.markLength()
        end(range, slot)
    }

    private func begin(_ range: ByteRange, isTruncation: Bool = false) -> Int? {
        let slot = slots.take(near: range.lowerBound)
        table.beginChange(range, isTruncation: isTruncation, slot: slot)
        return slot
    }

    private func end(_ range: ByteRange, _ slot: Int?) {
        table.endChange(slot: slot)
        if let slot { slots.giveBack(slot) }
        gauge.leave(range)
    }

    func beCopier() {
        var random = SystemRandomNumberGenerator()
        while true {
            if table.isLengthDirty {
                table.takeLength()
                world.lengths[1] = world.lengths[0]
                table.settleLength()
            }
            // Sometimes a whole shard, so that it is all dirty for a while.
            if Int.random(in: 0..<200, using: &random) == 0 {
                let shard = UInt64.random(in: 0..<3, using: &random)
                table.markUncounted(ByteRange(at: shard << 27, count: 1 << 27))
            }
            let start = Int.random(in: 0..<World.granules, using: &random)
            let limit = Int.random(in: 1...400, using: &random)
            let extent = table.takeExtent(from: start, limit: limit, givesPagesBack: true)
            if let extent { copy(extent, isGood: Int.random(in: 0..<8, using: &random) > 0) }
        }
    }

    private func copy(_ extent: Range<Int>, isGood: Bool) {
        for granule in extent where isGood { world.twin[granule] = world.source[granule] }
        if isGood { table.release(extent) } else { table.giveBack(extent) }
    }
}
