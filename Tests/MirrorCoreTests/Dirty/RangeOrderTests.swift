import Dispatch
import Synchronization
import Testing

@testable import MirrorCore

@Suite struct RangeOrderTests {
    private let order = RangeOrder()

    @Test func `ranges that share no byte pass`() {
        #expect(order.begin(ByteRange(0, 10)))
        #expect(order.begin(ByteRange(10, 20)))
        #expect(order.begin(ByteRange(5, 5)))
        #expect(!order.begin(ByteRange(9, 10)))
        #expect(order.end(ByteRange(5, 5)).isEmpty)
        #expect(order.end(ByteRange(0, 10)).isEmpty)
        #expect(order.begin(ByteRange(9, 10)))
    }

    @Test func `a range's turn comes at once where nothing is in the way any more`() {
        let hasCome = Atomic(false)
        #expect(order.begin(ByteRange(0, 10)))
        #expect(!order.begin(ByteRange(0, 1)))
        #expect(order.end(ByteRange(0, 10)).isEmpty)
        order.wait(ByteRange(0, 1)) { hasCome.store(true, ordering: .relaxed) }
        let wasCalled = hasCome.load(ordering: .relaxed)
        #expect(wasCalled)
        #expect(!order.begin(ByteRange(0, 1)), "it is under way")
    }

    @Test func `a later range waits behind one that waits`() {
        #expect(order.begin(ByteRange(0, 10)))
        order.wait(ByteRange(5, 30)) {}
        #expect(!order.begin(ByteRange(20, 40)))
        #expect(order.end(ByteRange(0, 10)).count == 1)
        #expect(!order.begin(ByteRange(20, 40)))
        #expect(order.end(ByteRange(5, 30)).isEmpty)
        #expect(order.begin(ByteRange(20, 40)))
    }

    /// The shadow: all that have come, in order; under way is what no earlier one overlaps.
    @Test(arguments: [1, 2, 3, .random(in: 4 ... .max)] as [UInt64])
    func `the turns of ranges come in order, when the last range in the way ended`(_ seed: UInt64)
        throws
    {
        var random = SeededGenerator(seed: seed)
        var present: [(id: Int, range: ByteRange)] = []
        let turns = Mutex<[Int]>([])
        func isUnderWay(_ index: Int) -> Bool {
            !present[..<index].contains { $0.range.overlaps(present[index].range) }
        }
        for id in 0..<3000 {
            if present.count < 40, Bool.random(using: &random) {
                let count = UInt64.random(in: 1...(id % 16 == 0 ? 200 : 12), using: &random)
                let range = ByteRange(at: .random(in: 0..<200, using: &random), count: count)
                present.append((id, range))
                let passes = isUnderWay(present.count - 1)
                try #require(order.begin(range) == passes)
                if !passes { order.wait(range) { turns.withLock { $0.append(id) } } }
                continue
            }
            guard let index = present.indices.filter(isUnderWay).randomElement(using: &random)
            else { continue }
            let before = Set(present.indices.filter(isUnderWay).map { present[$0].id })
            for turn in order.end(present.remove(at: index).range) { turn() }
            let after = present.indices.filter(isUnderWay).map { present[$0].id }
            let expected = after.filter { !before.contains($0) }
            let come = turns.withLock { turns in
                defer { turns = [] }
                return turns
            }
            try #require(come == expected)
            try #require(order.waiterCount == present.count - after.count)
        }
    }
}

extension StressTests {
    @Suite(.serialized, .timeLimit(.minutes(1))) struct RangeOrderStressTests {
        @Test func `no two writes meet in a byte, and everyone gets through`() throws {
            let rig = OrderRig()
            let threads = (0..<3).map { DispatchQueue(label: "writer \($0)") }
            for round in 0..<400 {
                let group = DispatchGroup()
                for (number, thread) in threads.enumerated() {
                    rig.write(round * 3 + number, on: thread, group)
                }
                try #require(group.wait(timeout: .now() + 20) == .success, "a turn was lost")
                try #require(rig.clashes.load(ordering: .relaxed) == 0)
                try #require(rig.order.waiterCount == 0)
                try #require(rig.order.begin(ByteRange(0, 64)), "something was left under way")
                #expect(rig.order.end(ByteRange(0, 64)).isEmpty)
            }
        }
    }
}

private final class OrderRig: Sendable {
    let order = RangeOrder()
    let clashes = Atomic<Int>(0)
    private let writing = Cells(64)

    /// Thirty writes of one writer, each begun without waiting for the one before.
    func write(_ seed: Int, on thread: DispatchQueue, _ group: DispatchGroup) {
        for index in 0..<30 {
            group.enter()
            thread.async { [self] in
                var random = SeededGenerator(seed: UInt64(seed * 100 + index))
                let first = UInt64.random(in: 0..<64, using: &random)
                let range = ByteRange(first, .random(in: first + 1...64, using: &random))
                if order.begin(range) { return finish(range, thread, group) }
                if Bool.random(using: &random) { yieldThread() }
                order.wait(range) { [self] in
                    thread.async { self.finish(range, thread, group) }
                }
            }
        }
    }

    private func finish(_ range: ByteRange, _ thread: DispatchQueue, _ group: DispatchGroup) {
        for byte in range.lowerBound..<range.upperBound
        where writing[Int(byte)].exchange(1, ordering: .relaxed) != 0 {
            clashes.add(1, ordering: .relaxed)
        }
        yieldThread()
        for byte in range.lowerBound..<range.upperBound {
            writing[Int(byte)].store(0, ordering: .relaxed)
        }
        for turn in order.end(range) { turn() }
        group.leave()
    }
}
