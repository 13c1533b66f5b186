import Testing

@testable import MirrorCore

@Suite struct WriteGaugeTests {
    private let shard: UInt64 = 128 << 20

    @Test func `the gauge is idle again when every change has left`() {
        let gauge = WriteGauge()
        let ranges = [
            ByteRange(0, 0), ByteRange(0, 1), ByteRange(shard - 1, shard + 1),
            ByteRange(at: shard, count: 0), ByteRange(63 * shard, 65 * shard),
            ByteRange(5, 1000 * shard), ByteRange(0, UInt64(Int64.max)), ByteRange(0, .max),
        ]
        for range in ranges {
            gauge.enter(range)
            #expect(!gauge.isIdle, "\(range)")
        }
        for range in ranges.shuffled() {
            #expect(!gauge.isIdle)
            gauge.leave(range)
        }
        #expect(gauge.isIdle)
    }

    @Test func `a change is seen in every shard that it touches`() {
        for first in [0, 1, 62, 63, 64, 4095] {
            for count in [1, 2, 63, 64, 65, 200] {
                let gauge = WriteGauge()
                let last = UInt64(first + count)
                gauge.enter(ByteRange(UInt64(first) * shard + 7, last * shard - 7))
                for touched in first..<first + count {
                    #expect(!gauge.isIdle(ShardIndex(touched)))
                }
                if count < 64 { #expect(gauge.isIdle(ShardIndex(first + count))) }
            }
        }
    }
}

@Suite struct GranularityTests {
    @Test func `only powers of two from 512 bytes to 64 MiB are granularities`() {
        for bytes in [-4096, 0, 1, 256, 513, 4095, 6144, 128 << 20, .max, .min] {
            #expect(Granularity(bytes: bytes) == nil)
        }
        for shift in 9...26 { #expect(Granularity(bytes: 1 << shift)?.bytes == 1 << shift) }
    }

    @Test func `bytes and granules turn into each other`() {
        let granularity = Granularity.standard
        #expect(granularity.granules(touching: ByteRange(4095, 4097)) == 0..<2)
        #expect(granularity.granules(touching: ByteRange(4096, 8192)) == 1..<2)
        #expect(granularity.granules(touching: ByteRange(4097, 4097)).isEmpty)
        #expect(granularity.bytes(of: 3..<5) == ByteRange(12288, 20480))
        #expect(ByteRange(at: .max - 1, count: 9) == ByteRange(.max - 1, .max))
        #expect(ByteRange(5, 9).clamped(below: 7) == ByteRange(5, 7))
        #expect(ByteRange(5, 9).clamped(below: 3).isEmpty)
    }
}
