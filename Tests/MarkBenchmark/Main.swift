import Dispatch
import MirrorCore

/// What a mark costs, as one Markdown table. Run it with
/// `swift run -c release mark-benchmark`, on a machine that has nothing else to do.
@main enum MarkBenchmark {
    static func main() {
        print("| what | ns each | design |")
        print("|---|---:|---:|")
        row("mark, one thread, same word", "15") { markOne(.standard) { _ in 0 } }
        row("mark, one thread, random over 1 TiB with pages", "") { markRandom() }
        row("mark, one thread, all-dirty shard", "") { markFull() }
        row("gauge enter + mark + leave, one thread, same word", "") { shim() }
        row("mark, 2 threads, one shard", "100") { markTogether { $0 * 4096 * 64 } }
        row("mark, 2 threads, one word", "") { markTogether { $0 * 4096 } }
        row("mark, 2 threads, many shards", "100") { markTogether(spread: 20 << 27) { $0 << 27 } }
        row("takeExtent + release, 1 granule each", "") { take(spacing: 2) }
        row("takeExtent + release, 1 granule in each shard", "") { take(spacing: 32768) }
        row("a look that finds nothing", "") { lookAtNothing() }
        row("zero scan, a 4 KiB block", "") { scan() }
        row("memcpy, a 4 KiB block", "") { copy() }
    }

    /// The best of many short ones: what else the machine does only ever adds.
    private static func row(_ name: String, _ design: String, _ measure: () -> Double) {
        let best = (0..<30).map { _ in measure() }.min()!
        print("| \(name) | \((best * 10).rounded() / 10) | \(design) |")
    }

    private static func nanoseconds(each count: Int, _ body: () -> Void) -> Double {
        let time = ContinuousClock().measure(body)
        let (seconds, attoseconds) = time.components
        return (Double(seconds) * 1e9 + Double(attoseconds) / 1e9) / Double(count)
    }

    private static func table(_ granularity: Granularity = .standard) -> DirtyTable {
        DirtyTable(granularity: granularity, gauge: WriteGauge())
    }

    @inline(__always)
    private static func markOne(_ granularity: Granularity, _ offset: (Int) -> UInt64) -> Double {
        let table = table(granularity)
        let count = 200_000
        return nanoseconds(each: count) {
            for index in 0..<count { _ = table.mark(ByteRange(at: offset(index), count: 4096)) }
        }
    }

    private static func markRandom() -> Double {
        let table = table()
        let (count, shards) = (200_000, UInt64(8192))
        for shard in 0..<shards { table.markUncounted(ByteRange(at: shard << 27, count: 1)) }
        var state: UInt64 = 1
        return nanoseconds(each: count) {
            for _ in 0..<count {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                _ = table.mark(ByteRange(at: (state >> 36) << 12, count: 4096))
            }
        }
    }

    private static func markFull() -> Double {
        let table = table()
        table.markUncounted(ByteRange(0, 1 << 27))
        let count = 200_000
        return nanoseconds(each: count) {
            for _ in 0..<count { _ = table.mark(ByteRange(at: 4096, count: 4096)) }
        }
    }

    private static func shim() -> Double {
        let gauge = WriteGauge()
        let table = DirtyTable(granularity: .standard, gauge: gauge)
        let count = 200_000
        return nanoseconds(each: count) {
            for _ in 0..<count {
                let range = ByteRange(at: 4096, count: 4096)
                gauge.enter(range)
                _ = table.mark(range)
                gauge.leave(range)
            }
        }
    }

    /// - Parameters:
    ///   - spread: from one thread's place to the other's.
    ///   - offset: where a thread's marks go, by the mark's number modulo 16.
    private static func markTogether(
        spread: UInt64 = 4096, _ offset: @escaping @Sendable (UInt64) -> UInt64
    ) -> Double {
        let table = table()
        let count = 200_000
        let group = DispatchGroup()
        let threads = (0..<2).map { DispatchQueue(label: "marker \($0)") }
        return nanoseconds(each: count) {
            for (number, thread) in threads.enumerated() {
                thread.async(group: group) {
                    let base = UInt64(number) * spread
                    for index in 0..<UInt64(count) {
                        let range = ByteRange(at: base + offset(index % 16), count: 4096)
                        _ = table.mark(range)
                    }
                }
            }
            group.wait()
        }
    }

    private static func take(spacing: UInt64) -> Double {
        let table = table()
        let count = 8192
        for index in 0..<UInt64(count) {
            table.markUncounted(ByteRange(at: index * spacing * 4096, count: 4096))
        }
        return nanoseconds(each: count) {
            var next = 0
            while let extent = table.takeExtent(from: next, limit: 256) {
                next = extent.upperBound
                table.release(extent)
            }
        }
    }

    /// More than the caches hold.
    private static let block = 4096
    nonisolated(unsafe) private static let zeroes = UnsafeMutableRawBufferPointer.allocate(
        byteCount: 256 << 20, alignment: block)
    nonisolated(unsafe) private static let other = UnsafeMutableRawBufferPointer.allocate(
        byteCount: 256 << 20, alignment: block)

    private static func scan() -> Double {
        zeroes.initializeMemory(as: UInt8.self, repeating: 0)
        return nanoseconds(each: zeroes.count / block) {
            ZeroScan.forEachRun(in: UnsafeRawBufferPointer(zeroes)) { _, isZero in
                precondition(isZero)
            }
        }
    }

    private static func copy() -> Double {
        zeroes.initializeMemory(as: UInt8.self, repeating: 0)
        return nanoseconds(each: zeroes.count / block) { other.copyMemory(from: .init(zeroes)) }
    }

    private static func lookAtNothing() -> Double {
        let table = table()
        table.markUncounted(ByteRange(0, 1))
        table.forgetAll(from: 0)
        let count = 10_000
        return nanoseconds(each: count) {
            for _ in 0..<count { _ = table.takeExtent(from: 0, limit: 1) }
        }
    }
}
