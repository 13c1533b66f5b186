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

@Suite struct JobTests {
    @Test func `a quiet image becomes ready and completes equal`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 5_000_001)
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.becomes("vm.img", .ready)
        #expect(bench.isEqual("vm.img"))
        #expect(bench.wait("vm.img") { $0.targetState == .synced && $0.len == $0.offset })
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        #expect(bench.job("vm.img")?.targetState == .consistent)
        let twin = try FileDescriptor.openBacking(bench.target.appending("vm.img"), .readOnly)
        #expect(twin.attribute("user.twinfs.state") == "consistent")
        try twin.close()
        bench.does("dismiss vm.img")
        #expect(bench.engine.report().jobs.isEmpty)
        #expect(eventually { bench.engine.images.all.isEmpty })
    }

    @Test func `a target that ends in a slash is a directory, made where it is missing`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4096)
        bench.does("mirror vm.img target=\(bench.target)/new/")
        bench.becomes("vm.img", .ready)
        #expect(bench.isEqual("vm.img", "new/vm.img"))
    }

    @Test func `a writer that never stops is mirrored to the last byte`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 8 << 20)
        let guest = try bench.guest("vm.img")
        let seed = UInt64.random(in: 0...UInt64.max)
        let writer = Writer(guest: guest, seed: seed, size: 8 << 20)
        writer.start()
        // The writer may be faster than the copier (it is under a sanitizer): then only a hold that
        // is long enough to copy the whole image brings them together.
        let options = "target=\(bench.target)/ max-pause=60000"
        bench.does("mirror vm.img \(options)")
        bench.becomes("vm.img", .ready, note: "seed \(seed)")
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed, note: "seed \(seed)")
        writer.stop()
        // The twin is a past state: writes after the cut are not in it. Mirror again, with nobody
        // writing.
        bench.does("mirror vm.img target=\(bench.target)/again.img")
        bench.becomes("vm.img#2", .ready)
        #expect(bench.isEqual("vm.img", "again.img"), "seed \(seed)")
    }

    @Test func `growth, truncation, punching and zeroing are mirrored`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let guest = try bench.guest("vm.img")
        var random = SplitMix(seed: UInt64.random(in: 0...UInt64.max))
        let seed = random.state
        bench.does("mirror vm.img target=\(bench.target)/")
        for _ in 0..<2000 {
            let offset = random.next(below: 6 << 20)
            let count = 1 + random.next(below: 200_000)
            switch random.next(below: 8) {
            case 0: guest.truncate(to: offset)
            case 1: guest.allocate([.punchHole, .keepSize], at: offset, count: count)
            case 2: guest.allocate([.zeroRange], at: offset, count: count)
            case 3: guest.allocate([], at: offset, count: count)
            default:
                guest.write(
                    [UInt8](repeating: UInt8(random.next(below: 256)), count: Int(count)),
                    at: offset)
            }
        }
        bench.becomes("vm.img", .ready, note: "seed \(seed)")
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed, note: "seed \(seed)")
        #expect(bench.isEqual("vm.img"), "seed \(seed)")
    }

    @Test(arguments: ["", " unmap=off"])
    func `what is cut off and grown again while the copier is behind reads as zero in the twin`(
        option: String
    ) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let guest = try bench.guest("vm.img")
        bench.does("mirror vm.img target=\(bench.target)/\(option)")
        bench.becomes("vm.img", .ready)
        bench.does("set vm.img speed=2M")
        guest.truncate(to: 1_000_001)
        // Some of the marks of the cut are taken while the image is short, the size itself is not.
        #expect(bench.wait("vm.img") { $0.dirtyBytes < 3 << 20 && $0.dirtyBytes > 0 })
        guest.truncate(to: 4 << 20)
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a longer twin that is taken over keeps nothing of its end where the image grows`()
        throws
    {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        try Data(repeating: 0xff, count: 4 << 20).write(
            to: URL(fileURLWithPath: bench.target.appending("vm.img").string))
        let options = "existing=reuse speed=2M copy-mode=background"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        // The first pass goes on for half a second.
        guest.truncate(to: 3 << 20)
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `cancel in bulk ends cancelled, and the twin keeps its working name`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        bench.does("mirror vm.img target=\(bench.target)/ speed=64K")
        #expect(bench.command("complete vm.img switch=off").errno == .resourceBusy)
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .cancelled)
        #expect(bench.job("vm.img")?.targetState == .inconsistent)
        #expect((try? bench.target.appending("vm.img").status()) == nil)
        #expect((try? bench.target.appending("vm.img.partial").status()) != nil)
        #expect(
            bench.events.last { $0.contains("BLOCK_JOB_") }?.contains("BLOCK_JOB_CANCELLED") == true
        )
    }

    @Test func `a full image at a low speed can be paused, sped up and finished`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        bench.does("mirror vm.img target=\(bench.target)/ speed=256K")
        bench.does("pause vm.img")
        #expect(bench.job("vm.img")?.status == .paused)
        bench.does("set vm.img speed=0")
        bench.does("resume vm.img")
        bench.becomes("vm.img", .ready)
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `sync=none writes a delta of what came after the start`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        bench.does("mirror vm.img target=\(bench.target)/ sync=none")
        bench.becomes("vm.img", .ready)
        guest.write([UInt8](repeating: 7, count: 4096), at: 8192)
        #expect(bench.command("complete vm.img switch=off").errno == .notSupported)
        bench.does("cancel vm.img")
        #expect(bench.wait("vm.img") { $0.phase == .completed && $0.targetState == .partial })
        let delta = try Data(
            contentsOf: URL(fileURLWithPath: bench.target.appending("vm.img.delta").string))
        #expect(delta.count == 1 << 20)
        #expect(delta[8192..<12288].allSatisfy { $0 == 7 })
        #expect(delta[..<8192].allSatisfy { $0 == 0 })
    }

    @Test func `a deleted image ends its job with that reason`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.engine.deleted(guest.image.identity)
        bench.becomes("vm.img", .cancelled)
        #expect(bench.job("vm.img")?.error?.contains("deleted") == true)
    }
}

/// Small random numbers that a seed repeats (splitmix64).
struct SplitMix {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next(below limit: UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return (z ^ (z >> 31)) % limit
    }
}
