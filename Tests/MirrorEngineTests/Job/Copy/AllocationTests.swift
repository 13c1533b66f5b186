import Foundation
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A twin is compared with its image block by block, in bytes and in what is allocated, as
/// SEEK_DATA and SEEK_HOLE tell it.
@Suite struct AllocationTests {
    private static let size = 3 << 20
    /// Where files are made: one folder per filesystem. Others than these are named in
    /// TWINFS_TEST_FOLDERS.
    private static let folders =
        [NSTemporaryDirectory(), "/dev/shm"]
        + (ProcessInfo.processInfo.environment["TWINFS_TEST_FOLDERS"] ?? "").split(separator: ":")
        .map(String.init)

    @Test(arguments: folders, [512, 4096, 65536])
    func `after random writes, punches and zeroes the twin is a hole exactly where it is zero`(
        folder: String, granularity: Int
    ) throws {
        let bench = try Bench(folder)
        var random = SplitMix(seed: UInt64.random(in: 0...UInt64.max))
        let seed = random.state
        try bench.makeFile("vm.img", bytes: Self.size)
        let guest = try bench.guest("vm.img")
        bench.does("mirror vm.img target=\(bench.target)/ granularity=\(granularity) buf-size=100K")
        for round in 0..<8 {
            for _ in 0..<40 { change(guest, &random) }
            #expect(bench.wait("vm.img") { $0.phase == .ready && $0.dirtyBytes == 0 })
            if round == 4 { guest.truncate(to: UInt64(Self.size - 5000)) }
        }
        // The tail: a last block that is zero and not whole.
        guest.allocate(
            [.punchHole, .keepSize], at: UInt64(Self.size - 20_000), count: 20_000)
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed, note: "seed \(seed)")
        #expect(bench.isEqual("vm.img"), "seed \(seed)")
        let holes = try Blocks(bench.source.appending("vm.img"))
        let twin = try Blocks(bench.target.appending("vm.img"))
        // What the image does not have the twin has not either.
        #expect(twin.allocated.subtracting(holes.allocated) == [], "seed \(seed)")
        #expect(twin.allocated.symmetricDifference(twin.nonZero) == [], "seed \(seed)")
    }

    /// The beginning of an image comes last in bulk: as a whole, or its first block would be copied
    /// in pieces only.
    @Test func `a first block that becomes zero in bulk is a hole at its end`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 64 << 10)
        let guest = try bench.guest("vm.img")
        let start = "mirror vm.img target=\(bench.target)/ granularity=512 speed=16K"
        bench.does(start)
        #expect(bench.wait("vm.img") { $0.copiedBytes >= 8 << 10 })
        #expect(bench.job("vm.img")?.phase == .bulk)
        guest.allocate([.punchHole, .keepSize], at: 0, count: 4096)
        bench.does("set vm.img speed=0")
        #expect(bench.engine.isInSync("vm.img"))
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        let isEqual = bench.isEqual("vm.img")
        #expect(isEqual)
        let isAllocated = try Blocks(bench.target.appending("vm.img")).allocated.contains(0)
        #expect(!isAllocated)
    }

    private func change(_ guest: Guest, _ random: inout SplitMix) {
        // Whole blocks, whole sectors, or any bytes at all.
        let unit: UInt64 = [1, 512, 4096, 4096][Int(random.next(below: 4))]
        let offset = random.next(below: UInt64(Self.size) / unit) * unit
        let longest = min(UInt64(Self.size) - offset, 60_000)
        let count = max(unit, random.next(below: longest + 1) / unit * unit)
        switch random.next(below: 4) {
        case 0: guest.allocate([.punchHole, .keepSize], at: offset, count: count)
        case 1: guest.allocate([.zeroRange, .keepSize], at: offset, count: count)
        case 2: guest.write([UInt8](repeating: 0, count: Int(count)), at: offset)
        default: guest.write([UInt8](repeating: 0xA5, count: Int(count)), at: offset)
        }
    }
}

/// Which blocks of a file are allocated, and which hold something.
private struct Blocks {
    var allocated = Set<Int>()
    var nonZero = Set<Int>()

    init(_ path: FilePath) throws {
        let file = try FileDescriptor.openBacking(path, .readOnly)
        defer { try? file.close() }
        let block = 4096
        var offset: UInt64 = 0
        while let data = try file.nextData(from: offset) {
            let hole = try file.nextHole(from: data) ?? data
            for index in Int(data) / block..<(Int(hole) + block - 1) / block {
                allocated.insert(index)
            }
            offset = hole
        }
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path.string)))
        let zeroes = [UInt8](repeating: 0, count: block)
        for start in stride(from: 0, to: bytes.count, by: block) {
            let count = min(block, bytes.count - start)
            let isZero = bytes.withUnsafeBytes {
                memcmp($0.baseAddress! + start, zeroes, count) == 0
            }
            if !isZero { nonZero.insert(start / block) }
        }
    }
}
