import Dispatch
import Foundation
import MirrorCore
import MirrorNBD
import MirrorSystem
import Synchronization
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// What QEMU's iotests check of active mirroring, of changing the mode, and of moving to another
/// place.
@Suite struct ModeParityTests {
    private static let unit = 64 << 10

    // 151 (doActiveIO): a quarter of the image a stage, the second half of each zeroed again
    @Test func `writes and zeroes before, during and after the first pass are in the twin`() throws
    {
        let store = ScriptedStore(bytes: 32 * Self.unit)
        let bench = try store.bench()
        try bench.makeFile("vm.img", bytes: 32 * Self.unit)
        let guest = try bench.guest("vm.img")
        write(guest, 4..<12, 2)
        bench.does("mirror vm.img target=nbd://test/store copy-mode=write-blocking")
        write(guest, 12..<20, 3)
        bench.becomes("vm.img", .ready)
        #expect(bench.wait("vm.img") { $0.activelySynced })
        bench.does("set vm.img speed=1")
        write(guest, 20..<28, 4, zeroes: false)
        // The copier has had nothing to do: at one byte a second it would not have done it.
        #expect(bench.job("vm.img")?.dirtyBytes == 0)
        write(guest, 20..<28, 5)
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        let isEqual = store.holds(bench.content("vm.img"))
        #expect(isEqual)
    }

    /// Writes units of the image at once; zeroes the second half of them again.
    private func write(
        _ guest: Guest, _ units: Range<Int>, _ byte: UInt8, zeroes: Bool = true
    ) {
        let bytes = [UInt8](repeating: byte, count: Self.unit)
        DispatchQueue.concurrentPerform(iterations: units.count) { index in
            let offset = UInt64((units.lowerBound + index) * Self.unit)
            guest.write(bytes, at: offset)
            if zeroes, index >= units.count / 2 {
                guest.allocate([.zeroRange], at: offset, count: UInt64(Self.unit))
            }
        }
    }

    // 151 (testUnalignedActiveIO)
    @Test func `a byte written into what the first pass has not reached is not lost`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 2 << 20)
        let guest = try bench.guest("vm.img")
        let options = "copy-mode=write-blocking buf-size=256K speed=1"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        guest.write([2], at: (1 << 20) + 42)
        bench.does("set vm.img speed=0")
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
    }

    // 151 (testIntersectingActiveIO)
    @Test func `writes that wait for one that overlaps them all come through`() throws {
        let store = ScriptedStore(bytes: 4 << 20)
        let bench = try store.bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let guest = try bench.guest("vm.img")
        #expect(bench.isReadyInStore("vm.img", "copy-mode=write-blocking"))
        #expect(bench.wait("vm.img") { $0.activelySynced })
        store.hang()
        let group = DispatchGroup()
        let begun = Atomic<Int>(0)
        let start = { (offset: UInt64, count: Int, byte: UInt8) in
            DispatchQueue(label: "guest").async(group: group) {
                begun.add(1, ordering: .relaxed)
                guest.write([UInt8](repeating: byte, count: count), at: offset)
            }
        }
        start(0, 1 << 20, 1)
        #expect(bench.eventually { store.waiting > 0 })
        start(0, 2 << 20, 2)
        start(0, 2 << 20, 3)
        start(1 << 20, 2 << 20, 4)
        #expect(bench.eventually { begun.load(ordering: .relaxed) == 4 })
        // In whatever order they come to stand behind the first.
        usleep(20_000)
        store.release()
        group.wait()
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        let isEqual = store.holds(bench.content("vm.img"))
        #expect(isEqual)
    }

    // 151 (testUnderLoad)
    @Test func `the first pass goes on while guests write all the time to a slow target`() throws {
        let store = ScriptedStore(bytes: 4 << 20, delay: .milliseconds(2))
        let bench = try store.bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let guest = try bench.guest("vm.img")
        let isOver = Flag()
        let group = DispatchGroup()
        for thread in 0..<2 {
            DispatchQueue(label: "guest").async(group: group) {
                var random = SplitMix(seed: UInt64(thread))
                while !isOver.isSet {
                    let place = (2 << 20) + random.next(below: 511) * 4096
                    guest.write([UInt8](repeating: 42, count: 4096), at: place)
                }
            }
        }
        defer { isOver.set() }
        #expect(bench.isReadyInStore("vm.img", "copy-mode=write-blocking buf-size=64K"))
        isOver.set()
        group.wait()
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        let isEqual = store.holds(bench.content("vm.img"))
        #expect(isEqual)
    }

    // mirror-change-copy-mode
    @Test func `after the change to write-blocking a write that was answered is in the twin`()
        throws
    {
        let store = ScriptedStore(bytes: 1 << 20, delay: .milliseconds(2))
        let bench = try store.bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let writer = Writer(guest: try bench.guest("vm.img"), seed: 8, size: 1 << 20)
        #expect(bench.isReadyInStore("vm.img", "copy-mode=background"))
        #expect(bench.job("vm.img")?.activelySynced == false)
        let before = try #require(bench.job("vm.img")).len
        writer.start()
        #expect(bench.wait("vm.img") { $0.len > before })
        // The change comes while requests are under way.
        bench.does("set vm.img copy-mode=write-blocking")
        #expect(bench.wait("vm.img") { $0.copyMode == .writeBlocking })
        writer.stop()
        #expect(bench.wait("vm.img") { $0.activelySynced })
        bench.does("set vm.img speed=1")
        let pattern = [UInt8](repeating: 37, count: 16384)
        let guest = try bench.guest("vm.img")
        guest.write(pattern, at: 3 << 18)
        #expect(store.holds(pattern, at: 3 << 18))
        bench.does("cancel vm.img")
        #expect(bench.ends("vm.img", .completed))
        let isEqual = store.holds(bench.content("vm.img"))
        #expect(isEqual)
    }

    // 194: storage that moves to another machine is mirrored to an export and let go of when the
    // guest is there
    @Test func `a job to an export is ended by cancel, and the export holds the image`() throws {
        let file = NSTemporaryDirectory() + "/twinfs-export-\(UInt32.random(in: 0...UInt32.max))"
        #expect(FileManager.default.createFile(atPath: file, contents: Data(count: 2 << 20)))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let server = try NBDTests.Server(["file", file])
        let bench = try Bench(opener: NBDStore.open)
        try bench.makeFile("vm.img", bytes: 2 << 20)
        let guest = try bench.guest("vm.img")
        bench.does("mirror vm.img target=\(server.uri)")
        bench.becomes("vm.img", .ready)
        guest.write([UInt8](repeating: 9, count: 10_000), at: 1_000_001)
        bench.does("cancel vm.img")
        #expect(bench.ends("vm.img", .completed))
        #expect(bench.job("vm.img")?.serving == "source")
        let isEqual = bench.bytes(FilePath(file)) == bench.content("vm.img")
        #expect(isEqual)
    }
}

extension ModeParityTests {
    /// Runs qemu-img, which `Tests/run` installs; says how it ended.
    private func image(_ arguments: String...) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["qemu-img"] + arguments
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    // 155, 156: the overlay by sync=top, its chain by other means
    @Test func `an overlay alone finds its chain where somebody else has put it`() throws {
        let bench = try Bench()
        let (base, top) = (
            bench.source.appending("base.qcow2"), bench.source.appending("top.qcow2")
        )
        try bench.makeFile("raw", bytes: 1 << 20)
        let raw = bench.source.appending("raw").string
        #expect(try image("convert", "-O", "qcow2", raw, base.string) == 0)
        #expect(
            try image("create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", top.string) == 0)
        #expect(bench.isReady("top.qcow2", "sync=top"))
        bench.does("complete top.qcow2 switch=off")
        bench.becomes("top.qcow2", .completed)
        let twin = bench.target.appending("top.qcow2")
        // Without its chain it does not open.
        #expect(try image("compare", raw, twin.string) != 0)
        try FileManager.default.copyItem(
            atPath: base.string, toPath: bench.target.appending("base.qcow2").string)
        #expect(try image("compare", raw, twin.string) == 0)
        #expect(try image("compare", raw, top.string) == 0)
    }

    // 155 (testFull)
    @Test
    func `an overlay with its chain opens where it was brought, and the source keeps its own`()
        throws
    {
        let bench = try Bench()
        try bench.makeFile("raw", bytes: 1 << 20)
        let raw = bench.source.appending("raw").string
        let names = ["back0", "back1", "back2", "source"].map { "\($0).qcow2" }
        let first = bench.source.appending(names[0]).string
        #expect(try image("convert", "-O", "qcow2", raw, first) == 0)
        for (below, name) in zip(names, names.dropFirst()) {
            let path = bench.source.appending(name).string
            #expect(
                try image("create", "-f", "qcow2", "-b", below, "-F", "qcow2", path) == 0)
        }
        #expect(bench.isReady("source.qcow2", "sync=full"))
        #expect(Set(bench.job("source.qcow2")!.images) == Set(names))
        bench.does("complete source.qcow2 switch=off")
        bench.becomes("source.qcow2", .completed)
        for name in names { #expect(bench.isEqual(name)) }
        for folder in [bench.source, bench.target] {
            #expect(try image("compare", raw, folder.appending("source.qcow2").string) == 0)
        }
    }
}

private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = false
    var isSet: Bool { lock.withLock { value } }
    func set() { lock.withLock { value = true } }
}
