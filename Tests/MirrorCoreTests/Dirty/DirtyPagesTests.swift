import Testing

@testable import MirrorCore

@Suite struct DirtyPagesTests {
    private let shard: UInt64 = 128 << 20
    private let gauge = WriteGauge()

    private func table(_ bytes: Int = 4096) -> DirtyTable {
        DirtyTable(granularity: Granularity(bytes: bytes)!, gauge: gauge)
    }

    @Test func `clean and all-dirty shards have no page`() {
        let table = table()
        #expect(table.pageCount == 0)
        table.markUncounted(ByteRange(0, 8192 * shard))
        #expect(table.pageCount == 0)
        #expect(table.dirtyBytes == Int(8192 * shard))
        #expect(table.dirtyExtents(limit: 9) == [ByteRange(0, 8192 * shard)])
    }

    @Test func `a partly dirty shard has one page, and marking it all dirty keeps it`() {
        let table = table()
        table.markUncounted(ByteRange(5, 6))
        #expect(table.pageCount == 1)
        table.markUncounted(ByteRange(0, shard))
        #expect(table.pageCount == 1)
        #expect(table.dirtyBytes == Int(shard))
    }

    @Test(arguments: testedGranularities)
    func `an all-dirty shard is taken piece by piece`(_ granularity: Granularity) throws {
        let table = table(granularity.bytes)
        table.markUncounted(ByteRange(0, 2 * shard))
        var taken = 0
        var last = 0
        while let extent = table.takeExtent(from: last, limit: 1000, givesPagesBack: true) {
            #expect(extent.lowerBound == last)
            last = extent.upperBound
            taken += extent.count
            table.release(extent)
        }
        #expect(taken == 2 * table.granulesPerShard)
        #expect(table.isClean)
        #expect(table.pageCount == 0)
    }

    @Test func `a page is given back when its last extent is taken, if that was asked for`() throws
    {
        let table = table()
        for givesPagesBack in [false, true] {
            table.markUncounted(ByteRange(0, 10))
            let extent = try #require(
                table.takeExtent(from: 0, limit: 9, givesPagesBack: givesPagesBack))
            #expect(table.pageCount == (givesPagesBack ? 0 : 1))
            table.release(extent)
        }
    }

    @Test func `a page stays while a change near it is under way`() throws {
        let table = table()
        table.markUncounted(ByteRange(0, 10))
        // 64 shards on: another place, the same stripe of the gauge.
        let far = ByteRange(at: 64 * shard, count: 1)
        gauge.enter(far)
        table.release(try #require(table.takeExtent(from: 0, limit: 9, givesPagesBack: true)))
        #expect(table.pageCount == 1)
        gauge.leave(far)
        table.markUncounted(ByteRange(0, 10))
        table.release(try #require(table.takeExtent(from: 0, limit: 9, givesPagesBack: true)))
        #expect(table.pageCount == 0)
    }

    @Test func `a job's own mark leaves the image's gauge idle`() {
        let table = table()
        table.markUncounted(ByteRange(0, 4 * shard))
        #expect(gauge.isIdle)
        #expect(!table.isInSync)
    }
}

@Suite struct WakeTests {
    private let table = DirtyTable(granularity: .standard, gauge: WriteGauge())

    @Test func `the first mark after falling asleep wakes, and no other`() {
        #expect(!table.mark(ByteRange(0, 1)))
        table.fallAsleep()
        #expect(table.mark(ByteRange(0, 1)))
        #expect(!table.mark(ByteRange(0, 1)))
        table.fallAsleep()
        #expect(table.markLength())
        #expect(!table.markLength())
    }

    @Test func `a job's own marks wake nobody`() {
        table.fallAsleep()
        table.markUncounted(ByteRange(0, 1))
        #expect(table.mark(ByteRange(0, 1)))
    }
}

@Suite struct InSyncTests {
    private let gauge = WriteGauge()

    @Test func `a change under way is not in sync, though the table is clean`() {
        let table = DirtyTable(granularity: .standard, gauge: gauge)
        let range = ByteRange(0, 10)
        #expect(table.isInSync)
        gauge.enter(range)
        #expect(table.isClean && !table.isInSync)
        gauge.leave(range)
        #expect(table.isInSync)
    }

    @Test func `a claim and a changed size are not in sync`() throws {
        let table = DirtyTable(granularity: .standard, gauge: gauge)
        table.markUncounted(ByteRange(0, 10))
        let extent = try #require(table.takeExtent(from: 0, limit: 1))
        #expect(!table.isInSync && !table.isClean)
        table.release(extent)
        #expect(table.isInSync)
        _ = table.markLength()
        #expect(!table.isInSync)
        table.takeLength()
        #expect(table.isInSync)
    }
}
