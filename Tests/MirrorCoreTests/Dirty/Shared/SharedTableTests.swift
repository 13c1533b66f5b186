import Testing

@testable import MirrorCore

/// What a successor finds of a table whose process has ended between two operations. Ends amid one:
/// `TableKillTests`.
@Suite struct SharedTableTests {
    private let memory = VictimMemory(.standard)
    private let gauge = WriteGauge()

    private func table() -> DirtyTable {
        let table = DirtyTable(granularity: .standard, gauge: gauge, memory: memory.shared)
        table.settle()
        return table
    }

    private func recovered(owner: UInt64 = 0) -> DirtyTable? {
        DirtyTable(recovering: memory.copied, gauge: WriteGauge(), owner: owner)
    }

    @Test(arguments: testedGranularities, [1, 2, .random(in: 3 ... .max)] as [UInt64])
    func `after any operation a successor finds what was dirty, claimed or under way, and no more`(
        _ granularity: Granularity, _ seed: UInt64
    ) throws {
        var script = ModelScript(granularity, seed, in: VictimMemory(granularity))
        for _ in 0..<120 {
            try script.step()
            try script.stepOfChanges()
        }
        try script.drain()
    }

    @Test func `a successor goes on with the same memory, and so does its successor`() throws {
        var table = table()
        let slots = SlotNumbers()
        for round in 0..<6 {
            let number = UInt64(round)
            table.markUncounted(ByteRange(at: number << 27, count: 1 << 27))
            let range = ByteRange(at: number << 14, count: 1)
            table.beginChange(range, slot: slots.take(near: 0))
            let claim = try #require(table.takeExtent(from: round << 15, limit: 100))
            #expect(claim.lowerBound == round << 15)
            table = try #require(
                DirtyTable(recovering: memory.shared, gauge: gauge))
            #expect(table.dirtyBytes == (round + 1) << 27)
        }
        while let extent = table.takeExtent(from: 0, limit: .max, givesPagesBack: true) {
            table.release(extent)
        }
        #expect(try #require(recovered()).dirtyBytes == 0)
    }

    @Test func `a table that comes back takes no memory for slots that nobody used`() throws {
        let first = table()
        let slots = SlotNumbers()
        let used = slots.take(near: 5 << 40)
        first.markUncounted(ByteRange(0, 1))
        first.beginChange(ByteRange(1 << 20, 1 << 21), slot: used)
        first.markUncounted(ByteRange(1 << 20, 1 << 21))
        let before = memory.used
        for _ in 0..<2 {
            let next = try #require(DirtyTable(recovering: memory.shared, gauge: gauge))
            #expect(next.dirtyBytes == 4096 + 1 << 20)
        }
        // Which shards are all dirty has to be read: a page.
        #expect(memory.used <= before + 4096)
    }

    @Test func `pages that are given back are gone from the memory`() throws {
        let table = table()
        let before = memory.used
        for shard in UInt64(0)..<64 { table.markUncounted(ByteRange(at: shard << 27, count: 1)) }
        #expect(memory.used >= before + 64 * 4096)
        table.forgetAll(from: 0)
        #expect(memory.used < before + 8 * 4096)
        #expect(try #require(recovered()).pageCount == 0)
    }

    @Test func `an image that is all dirty costs kilobytes`() {
        let table = table()
        table.markUncounted(ByteRange(0, 16 << 40))
        #expect(memory.used < 256 << 10)
        #expect(recovered()?.dirtyBytes == 16 << 40)
    }

    @Test func `past 64 TiB whole shards are dirty for a successor`() throws {
        let table = table()
        let place: UInt64 = 65 << 40
        table.markUncounted(ByteRange(at: place + 4096, count: 1))
        #expect(table.dirtyBytes == 4096)
        let whole = ByteRange(at: place, count: 1 << 27)
        #expect(try #require(recovered()).dirtyExtents(limit: 9) == [whole])
        table.markUncounted(whole)
        table.forgetAll(from: 0)
        #expect(try #require(recovered()).dirtyBytes == 0)
    }

    @Test func `a truncation counts for all that changes have reached, also after it began`() throws
    {
        let table = table()
        table.beginChange(ByteRange(8192, 65536), isTruncation: true, slot: 0)
        table.beginChange(ByteRange(1 << 20, 2 << 20), slot: 1)
        table.endChange(slot: 1)
        let copy = try #require(recovered())
        #expect(copy.dirtyExtents(limit: 9) == [ByteRange(8192, 2 << 20)])
        #expect(copy.isLengthDirty)
        table.endChange(slot: 0)
        #expect(try #require(recovered()).isClean)
    }

    @Test func `a table without a free slot is not believed until the change has ended`() throws {
        let table = table()
        table.beginChange(ByteRange(0, 1), slot: nil)
        #expect(recovered() == nil)
        table.endChange(slot: nil)
        #expect(recovered() != nil)
        for granule in UInt64(0)...1024 {
            table.markUncounted(ByteRange(at: granule * 8192, count: 1))
        }
        var claims: [Range<Int>] = []
        for _ in 0..<1024 { claims.append(try #require(table.takeExtent(from: 0, limit: 1))) }
        #expect(try #require(recovered()).dirtyBytes == 1025 * 4096)
        claims.append(try #require(table.takeExtent(from: 0, limit: 1)))
        #expect(recovered() == nil)
        for claim in claims { table.release(claim) }
        #expect(try #require(recovered()).dirtyBytes == 0)
    }

    @Test func `slots are given to one at a time, and run out`() throws {
        let slots = SlotNumbers(count: 128)
        let taken = (0..<128).compactMap { slots.take(near: $0) }
        #expect(Set(taken) == Set(0..<128))
        #expect(slots.take(near: 7) == nil)
        slots.giveBack(77)
        #expect(slots.take(near: 1 << 40) == 77)
    }

    @Test func `a table that was never settled is not believed`() {
        let table = DirtyTable(granularity: .standard, gauge: gauge, memory: memory.shared)
        table.markUncounted(ByteRange(0, 1))
        #expect(recovered() == nil)
        table.settle()
        #expect(recovered()?.dirtyBytes == 4096)
    }

    @Test func `a table does not believe another's memory, nor zeroes, nor too little`() {
        #expect(recovered() == nil)
        _ = table()
        #expect(recovered() != nil)
        #expect(recovered(owner: 1) == nil)
        for size in [4096, 1 << 20, TableMemory.size(granularity: .standard) - 4096] {
            let small = VictimMemory(.standard, size: size)
            #expect(DirtyTable(recovering: small.shared, gauge: gauge) == nil)
        }
    }

    /// The five words that say what it is, and the one that says that it may be believed.
    @Test(arguments: Array(0..<40) + Array(64..<72))
    func `a header with a wrong byte is not believed`(byte: Int) {
        _ = table()
        memory.flip(byte: byte)
        #expect(recovered() == nil)
        memory.flip(byte: byte)
        #expect(recovered() != nil)
    }
}
