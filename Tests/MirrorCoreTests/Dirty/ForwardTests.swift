import Testing

@testable import MirrorCore

@Suite struct ForwardTests {
    private let size: UInt64 = 4096

    @Test func `dirty and claimed granules are left out of a forward`() throws {
        var pair = Pair(.standard)
        try pair.markGranules(10..<12)
        try pair.take()
        try pair.markGranules(14..<15)
        let pieces = try pair.beginForward(ByteRange(8 * size + 100, 17 * size + 1))
        let expected = [
            ByteRange(8 * size + 100, 10 * size), ByteRange(12 * size, 14 * size),
            ByteRange(15 * size, 17 * size + 1),
        ]
        #expect(pieces == expected)
    }

    @Test(arguments: testedGranularities)
    func `a forward is cut at the edge of shards`(_ granularity: Granularity) throws {
        var pair = Pair(granularity)
        let edge: UInt64 = 128 << 20
        let pieces = try pair.beginForward(ByteRange(edge - 10, edge + 10))
        #expect(pieces == [ByteRange(edge - 10, edge), ByteRange(edge, edge + 10)])
        for piece in pieces { try pair.endForward(piece) }
    }

    @Test func `two forwards share a granule, and the copier waits for both`() throws {
        var pair = Pair(.standard)
        let (one, two) = (ByteRange(0, 512), ByteRange(1024, 2048))
        #expect(try pair.beginForward(one) == [one])
        #expect(try pair.beginForward(two) == [two])
        try pair.markGranules(0..<3)
        #expect(try pair.take() == 1..<3)
        try pair.endForward(one)
        #expect(try pair.take() == nil)
        try pair.endForward(two, isFailure: true)
        #expect(try pair.take() == 0..<1)
    }

    @Test func `bytes that are being forwarded are not forwarded a second time`() throws {
        var pair = Pair(.standard)
        _ = try pair.beginForward(ByteRange(100, 200))
        #expect(try pair.beginForward(ByteRange(150, 2 * size)) == [ByteRange(size, 2 * size)])
        #expect(try pair.beginForward(ByteRange(50, 100)) == [ByteRange(50, 100)])
    }

    @Test func `nothing of an all-dirty shard is forwarded`() throws {
        let table = DirtyTable(granularity: .standard, gauge: WriteGauge())
        table.markUncounted(ByteRange(0, 128 << 20))
        var pieces: [ByteRange] = []
        table.beginForward(ByteRange(5, 1 << 20), into: &pieces)
        #expect(pieces.isEmpty && table.pageCount == 0)
        table.beginForward(ByteRange(DirtyTable.limit, .max), into: &pieces)
        #expect(pieces.isEmpty)
    }

    @Test func `what is forwarded can be taken only after the forward ended`() throws {
        var pair = Pair(.standard)
        let piece = ByteRange(5 * size, 6 * size)
        _ = try pair.beginForward(piece)
        try pair.markGranules(0..<10)
        let before = try pair.take()
        let after = try pair.take()
        #expect((before, after) == (0..<5, 6..<10))
        #expect(!pair.table.canTake)
        try pair.endForward(piece)
        #expect(try pair.take() == 5..<6)
    }

    @Test func `a copier that waits for quiet is woken by the last forward's end`() {
        let table = DirtyTable(granularity: .standard, gauge: WriteGauge())
        var pieces: [ByteRange] = []
        table.beginForward(ByteRange(0, 10), into: &pieces)
        table.beginForward(ByteRange(10, 20), into: &pieces)
        table.fallAsleep(isForQuiet: true)
        #expect(!table.endForward(pieces[0]))
        #expect(table.endForward(pieces[1]))
        #expect(!table.isAsleep)
        table.beginForward(ByteRange(0, 10), into: &pieces)
        table.fallAsleep()
        #expect(!table.endForward(pieces[0]))
        #expect(table.mark(ByteRange(0, 1)), "it sleeps on")
    }
}

@Suite struct DrainTests {
    @Test(arguments: testedGranularities)
    func `draining a table moves every mark, the length's too`(_ granularity: Granularity) {
        let gauge = WriteGauge()
        let from = DirtyTable(granularity: granularity, gauge: gauge)
        let into = DirtyTable(granularity: granularity, gauge: gauge)
        let shard: UInt64 = 128 << 20
        for place: UInt64 in [0, 5, 64 * 4096, shard - 1, 3 * shard, 5000 * shard] {
            _ = from.mark(ByteRange(at: place, count: 1))
        }
        from.markUncounted(ByteRange(7 * shard, 9 * shard))
        _ = from.markLength()
        let extents = from.dirtyExtents(limit: .max)
        into.fallAsleep()
        from.drain(into: into)
        #expect(from.isInSync && from.pageCount == 0)
        #expect(into.isLengthDirty && into.isAsleep && !into.isInSync)
        #expect(into.dirtyExtents(limit: .max) == extents)
    }

    @Test func `draining a table into larger granules marks whole ones`() {
        let (fine, coarse) = (Granularity(bytes: 512)!, Granularity(bytes: 65536)!)
        let from = DirtyTable(granularity: fine, gauge: WriteGauge())
        let into = DirtyTable(granularity: coarse, gauge: WriteGauge())
        from.markUncounted(ByteRange(65536 + 600, 65536 + 601))
        from.drain(into: into)
        #expect(into.dirtyExtents(limit: 9) == [ByteRange(65536, 131_072)])
    }
}
