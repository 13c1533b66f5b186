import Testing

@testable import MirrorCore

@Suite struct LongWordsTests {
    @Test func `near and far words are each their own, and read as 0 before they are changed`() {
        let words = LongWords(count: 40, near: 7)
        var model = [UInt64](repeating: 0, count: 40)
        for index in [3, 6, 7, 8, 39, 0, 7, 39] {
            #expect((0..<40).map { words.load($0) } == model)
            #expect(words.used == (model[7...].contains { $0 != 0 } ? 40 : 7))
            words.store(UInt64(index) + 1, index)
            model[index] = UInt64(index) + 1
        }
        #expect(words.replace(8, with: 80, 7) == (true, 8))
        #expect(words.replace(8, with: 81, 7) == (false, 80))
        #expect(words.replace(0, with: 5, 20) == (true, 0))
        (model[7], model[20]) = (80, 5)
        #expect((0..<40).map { words.load($0) } == model)
    }

    @Test func `of threads that make the far words at once one wins, and no change is lost`() async
    {
        for _ in 0..<200 {
            let table = DirtyTable(granularity: .standard, gauge: WriteGauge())
            await withTaskGroup(of: Void.self) { group in
                for number in UInt64(0)..<4 {
                    // Far regions, and far shards of one region.
                    group.addTask {
                        table.markUncounted(ByteRange(at: (200 + number) << 40, count: 1))
                        table.markUncounted(ByteRange(at: (100 + number) << 30, count: 1))
                    }
                }
            }
            #expect(table.dirtyBytes == 8 * 4096)
            #expect(table.dirtyExtents(limit: 9).count == 8)
        }
    }
}
