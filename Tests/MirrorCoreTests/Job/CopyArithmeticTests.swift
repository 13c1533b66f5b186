import Testing

@testable import MirrorCore

@Suite struct CopyArithmeticTests {
    @Test func `runs of zero blocks cover the bytes in order and are zero exactly where they say`()
    {
        for count in [1, 63, 64, 65, 4095, 4096, 4097, 8192, 12289, 20000] {
            for nonzero in [0, 1, count / 2, count - 1] where nonzero < count {
                var bytes = [UInt8](repeating: 0, count: count)
                bytes[nonzero] = 1
                var next = 0
                bytes.withUnsafeBytes { buffer in
                    ZeroScan.forEachRun(in: buffer) { run, isZero in
                        #expect(run.lowerBound == next && !run.isEmpty)
                        #expect(isZero == !run.contains(nonzero))
                        if !isZero { #expect(run.count <= ZeroScan.block) }
                        next = run.upperBound
                    }
                }
                #expect(next == count)
            }
        }
    }

    @Test func `zero is seen in every byte of a vector and of the tail`() {
        for count in [0, 1, 63, 64, 65, 129] {
            var bytes = [UInt8](repeating: 0, count: count)
            #expect(bytes.withUnsafeBytes { ZeroScan.isZero($0) })
            for index in 0..<count {
                bytes[index] = 0x80
                #expect(!bytes.withUnsafeBytes { ZeroScan.isZero($0) })
                bytes[index] = 0
            }
        }
    }

    @Test func `a limit lets through what it says, over time`() {
        var limit = RateLimit(bytesPerSecond: 1 << 20)
        var (now, spent) = (Duration.zero, 0)
        while now < .seconds(10) {
            if let wait = limit.wait(at: now) {
                now += wait
            } else {
                limit.spend(100_000)
                spent += 100_000
            }
        }
        #expect(spent > 10 << 20 - 200_000 && spent < (10 << 20) + 400_000)
        limit.set(0)
        #expect(limit.wait(at: now) == nil)
    }

    @Test func `a remainder that grows is not converging, and has no end in sight`() {
        var progress = Progress()
        for second in 0..<10 {
            progress.sample(
                at: .seconds(second), copied: second * 1000, remaining: 5000 + second * 500)
        }
        #expect(!progress.isConverging(remaining: 9500))
        #expect(progress.secondsLeft(remaining: 9500) == nil)
        #expect(progress.isConverging(remaining: 0))
    }

    @Test func `a remainder that shrinks ends when it is divided by what is gained`() {
        var progress = Progress()
        for second in 0..<30 {
            progress.sample(
                at: .seconds(second), copied: second * 1000, remaining: 100_000 - second * 500)
        }
        #expect(progress.isConverging(remaining: 85_000))
        #expect((150...200).contains(progress.secondsLeft(remaining: 85_000) ?? 0))
        #expect(progress.microsecondsToCopy(2000) == 2_000_000)
    }
}
