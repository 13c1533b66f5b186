import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

@Suite struct IntentLogTests {
    private let extent = IntentLog.extent

    @Test func `what was requested is durable when it is answered`() {
        let (log, store) = IntentLog.onDisk()
        #expect(!log.admits(ByteRange(extent - 1, extent + 1)))
        log.set(ByteRange(extent - 1, extent + 1))
        #expect(log.admits(ByteRange(extent - 1, extent + 1)))
        #expect(log.admits(ByteRange(0, 2 * extent)))
        #expect(!log.admits(ByteRange(2 * extent, 2 * extent + 1)))
        #expect(IntentLog.read(store.cut())?.intended == [ByteRange(0, 2 * extent)])
    }

    @Test func `many requests share few commits`() {
        let (log, store) = IntentLog.onDisk()
        store.open(false)
        let done = DispatchGroup()
        for index in 0..<200 {
            done.enter()
            let start = UInt64(index) * extent
            log.request(ByteRange(start, start + 1)) { done.leave() }
        }
        store.open(true)
        done.wait()
        #expect(store.syncs <= 2)
        #expect(log.durable(ByteRange(0, 200 * extent)))
    }

    @Test func `a log grows with its image, durably`() {
        let (log, store) = IntentLog.onDisk()
        let far = UInt64(3 * IntentFormat.extentsPerBlock + 5) * extent
        log.set(ByteRange(far, far + 1))
        let read = IntentLog.read(store.cut())
        #expect(read?.intended == [ByteRange(far, far + extent)])
    }

    @Test func `runs of extents are told as long as they are, wherever the words of the log end`() {
        let (log, store) = IntentLog.onDisk()
        var (next, runs) = (UInt64(0), [ByteRange]())
        for (gap, count) in [(0, 1), (1, 62), (1, 64), (1, 65), (63, 128), (1, 1), (64, 127)] {
            let start = (next + UInt64(gap)) * extent
            next += UInt64(gap + count)
            runs.append(ByteRange(start, next * extent))
            log.set(ByteRange(start, next * extent))
        }
        #expect(log.intended == runs)
        #expect(IntentLog.read(store.cut())?.intended == runs)
    }

    @Test func `what a log lacks for its image is intended`() {
        let (_, store) = IntentLog.onDisk(blocks: 2)
        let block = UInt64(IntentFormat.extentsPerBlock) * extent
        let cut = Array(store.cut().dropLast(IntentFormat.blockSize))
        #expect(IntentLog.read(cut, size: 2 * block)?.intended == [ByteRange(block, 2 * block)])
        let torn = Array(store.cut().dropLast(1))
        #expect(IntentLog.read(torn, size: 2 * block)?.intended == [ByteRange(block, 2 * block)])
    }

    @Test func `a changed bit anywhere loses no intent`() {
        let (log, store) = IntentLog.onDisk()
        log.set(ByteRange(5 * extent, 7 * extent))
        log.set(ByteRange(100 * extent, 101 * extent))
        let good = store.content()
        for bit in stride(from: 0, to: good.count * 8, by: Bench.every(3)) {
            var bad = good
            bad[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let read = IntentLog.read(bad) else {
                #expect(bit < IntentFormat.blockSize * 8)
                continue
            }
            let isKept =
                read.durable(ByteRange(5 * extent, 7 * extent))
                && read.durable(ByteRange(100 * extent, 101 * extent))
            #expect(isKept, "bit \(bit)")
        }
    }

    @Test func `a block of another log or of another place is damaged`() {
        let words = [UInt64](repeating: 0, count: IntentFormat.wordsPerBlock)
        let block = IntentFormat.block(3, words, of: "a")[...]
        #expect(IntentFormat.words(block, number: 3, of: "a") == words)
        #expect(IntentFormat.words(block, number: 2, of: "a") == nil)
        #expect(IntentFormat.words(block, number: 3, of: "b") == nil)
    }

    @Test func `what lies past everything that can be tracked is not noted`() {
        let bits = IntentBits()
        let end = IntentBits.leaves * IntentBits.leafWords
        #expect(bits.set(.durable, 1, end - 1) == 1 && bits.set(.durable, 1, end) == 0)
        #expect(bits.load(.durable, end - 1) == 1 && bits.load(.durable, end) == 0)
    }

    @Test func `a log of another image is none`() {
        let content = IntentLog.firstContent("other-0", blocks: 1, isFull: false)
        #expect(IntentLog.read(content) == nil)
        #expect(IntentLog.read([]) == nil)
    }

    @Test func `a failing disk voids the log, and nobody waits or fails`() {
        for error in [Errno.ioError, .noSpace] {
            let (log, store) = IntentLog.onDisk()
            let told = Mutex<[String]>([])
            log.voided.withLock {
                $0 = { error, done in
                    told.withLock { $0.append("told \(error == .noSpace)") }
                    done()
                }
            }
            store.fail(error)
            log.set(ByteRange(0, 1))
            told.withLock { $0.append("done") }
            log.set(ByteRange(extent, extent + 1))
            // Known elsewhere before a write goes on.
            #expect(told.withLock { $0 } == ["told \(error == .noSpace)", "done"])
            #expect(log.isVoid)
            #expect(log.admits(ByteRange(0, 100 * extent)))
            log.queue.sync {}
            #expect(store.isRemoved)
        }
    }

    @Test func `a disk that hangs voids the log`() {
        let (log, store) = IntentLog.onDisk(patience: .milliseconds(50))
        store.open(false)
        log.set(ByteRange(0, 1))
        #expect(log.isVoid)
        #expect(log.admits(ByteRange(extent, extent + 1)))
        store.open(true)
    }

    @Test func `a void log that cannot be made known lets writes go on all the same`() {
        let (log, store) = IntentLog.onDisk(patience: .milliseconds(50))
        log.voided.withLock { $0 = { _, _ in } }
        store.fail(.ioError)
        log.set(ByteRange(0, 1))
        #expect(log.admits(ByteRange(0, 1)))
    }

    @Test func `an extent that is settled is cleared, one that is not stays`() {
        let (log, store) = IntentLog.onDisk()
        let gauge = WriteGauge()
        let table = DirtyTable(granularity: .standard, gauge: gauge)
        log.set(ByteRange(0, 4 * extent))
        table.markUncounted(ByteRange(extent, extent + 1))
        let busy = ByteRange(at: 1000 * extent, count: 1)
        log.set(busy)
        gauge.enter(busy)
        // Written since the last two looks.
        #expect(log.candidates(table, gauge).isEmpty)
        log.age()
        #expect(log.candidates(table, gauge).isEmpty)
        log.age()
        let candidates = log.candidates(table, gauge)
        #expect(candidates.map(\.mask) == [0b1101])
        // Touched after it was chosen.
        #expect(log.admits(ByteRange(3 * extent, 3 * extent + 1)))
        log.clear(candidates, table, gauge)
        log.queue.sync {}
        let left = [
            ByteRange(extent, 2 * extent), ByteRange(3 * extent, 4 * extent),
            ByteRange(1000 * extent, 1001 * extent),
        ]
        #expect(log.intended == left)
        #expect(log.setCount.load(ordering: .relaxed) == 3)
        log.set(ByteRange(2000 * extent, 2000 * extent + 1))
        let read = IntentLog.read(store.cut())?.intended
        #expect(read == left + [ByteRange(2000 * extent, 2001 * extent)])
    }

    @Test func `the heartbeat comes back as it was written`() throws {
        let (log, store) = IntentLog.onDisk()
        let status = try FilePath("/proc/self/exe").status()
        log.beat(FileStamp(status), nil)
        log.queue.sync {}
        let found = try #require(IntentLog.read(store.content())?.found)
        #expect(found.source == FileStamp(status))
        #expect(found.boot == Machine.boot)
        #expect(found.twin == nil)
    }
}
