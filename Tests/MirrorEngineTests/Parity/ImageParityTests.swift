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

/// What QEMU's iotests check of odd images and odd targets.
@Suite struct ImageParityTests {
    // 041 (…ZeroLength, …UnalignedLength, TestGranularity), 152
    @Test(arguments: [512, 8192, 65536, 64 << 20])
    func `an image of any size is mirrored in any granularity, to its last byte`(
        granularity: Int
    ) throws {
        let bench = try Bench()
        for size in [0, 1, 511, 512, 513, 4095, 4097, 65537, 1025 << 10, (1 << 20) + 1] {
            let name = "\(size).img"
            try bench.makeFile(name, bytes: size)
            let guest = try bench.guest(name)
            #expect(bench.isReady(name, "granularity=\(granularity)"), "\(size)")
            #expect(bench.isEqual(name), "\(size)")
            if size > 0 { guest.write([0xA5], at: UInt64(size - 1)) }
            bench.does("complete \(name) switch=off")
            bench.becomes(name, .completed, note: "\(size)")
            #expect(bench.isEqual(name), "\(size)")
        }
    }

    // 041 (test_small_buffer): QEMU raises a buffer that is too small, here it is refused
    @Test func `a buffer smaller than a granule is raised, one of nearly nothing refused`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: (3 << 20) + 5)
        let start = "mirror vm.img target=\(bench.target)/"
        #expect(bench.command("\(start) buf-size=4096").errno == .invalidArgument)
        #expect(bench.isReady("vm.img", "buf-size=64K granularity=1M"))
        #expect(bench.isEqual("vm.img"))
    }

    // 109
    @Test(
        arguments: [
            [0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3], Array("QED\0".utf8), Array("KDMV".utf8),
            Array("<<< Oracle VM VirtualBox Disk Image >>>\n".utf8), Array("conectix".utf8),
            Array("vhdxfile".utf8),
        ] as [[UInt8]])
    func `headers of formats are bytes like others, also when the guest of a raw image writes them`(
        header: [UInt8]
    ) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 200_001)
        let guest = try bench.guest("vm.img")
        #expect(bench.isReady("vm.img"))
        guest.write(header, at: 0)
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
        // From its start on: a header of which nothing follows is for sync=top.
        let start = "mirror vm.img target=\(bench.target)/top.img sync=top"
        bench.does(start)
        bench.becomes("vm.img#2", .ready)
        #expect(bench.isEqual("vm.img", "top.img"))
    }

    // 044, 235: what a large image is made of does not matter, what it holds does
    @Test func `of a large sparse image only what it holds is copied`() throws {
        let bench = try Bench()
        let size = UInt64(16 << 30)
        try bench.makeFile("vm.img", bytes: 0)
        let guest = try bench.guest("vm.img")
        guest.truncate(to: size)
        let far = UInt64(3800 << 20)
        let data = [UInt8](repeating: 0x44, count: 1 << 20)
        guest.write(data, at: far)
        #expect(bench.isReady("vm.img"))
        guest.write(data, at: size - UInt64(data.count))
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        let twin = try FileDescriptor.openBacking(bench.target.appending("vm.img"), .readOnly)
        defer { try? twin.close() }
        let status = try twin.status()
        #expect(status.size == size && status.allocated < 16 << 20)
        #expect(try twin.nextData(from: 0) == far)
        for place in [far, size - UInt64(data.count)] {
            let isThere = twin.bytes(at: place, count: data.count) == data
            #expect(isThere)
        }
        #expect(bench.job("vm.img")!.copiedBytes < 16 << 20)
    }

    // 235: a first pass of nothing but small extents, to a target that is slow
    @Test func `an image of scattered blocks becomes ready on a slow target`() throws {
        let store = ScriptedStore(bytes: 4 << 20, delay: .microseconds(200))
        let bench = try store.bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let guest = try bench.guest("vm.img")
        for block in stride(from: UInt64(0), to: 4 << 20, by: 8192) {
            guest.allocate([.punchHole, .keepSize], at: block, count: 4096)
        }
        #expect(bench.isReadyInStore("vm.img"))
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        let isEqual = store.holds(bench.content("vm.img"))
        #expect(isEqual)
    }
}

extension ImageParityTests {
    // mirror-sparse
    @Test(arguments: ["absent", "sparse", "full"], ["on", "off"])
    func `zeroes of the source take no room in the twin, but where unmap=off asks for it`(
        target: String, unmap: String
    ) throws {
        let bench = try Bench()
        let size = UInt64(20 << 20)
        try bench.makeFile("vm.img", bytes: 0)
        let guest = try bench.guest("vm.img")
        guest.truncate(to: size)
        guest.write([UInt8](repeating: 0xCD, count: 2 << 20), at: 8 << 20)
        try prepare(bench, target, size)
        #expect(bench.isReady("vm.img", "unmap=\(unmap) existing=reuse"))
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
        let allocated = try bench.target.appending("vm.img").status().allocated
        let isSparse = unmap == "on" || target == "sparse"
        #expect(isSparse ? allocated < 4 << 20 : allocated >= 19 << 20, "\(allocated)")
    }

    private func prepare(_ bench: Bench, _ target: String, _ size: UInt64) throws {
        if target == "absent" { return }
        let path = bench.target.appending("vm.img")
        let file = try FileDescriptor.openBacking(path, .readWrite, .create)
        defer { try? file.close() }
        if target == "full" {
            try file.allocate([], at: 0, count: size)
        } else {
            try file.setSize(size)
        }
    }

    // 155: what stands at the target's name before
    @Test(arguments: ["replace", "reuse"], [0, 1000, 300_000, 2_000_000])
    func `whatever the file of the target's name was, it becomes the image`(
        existing: String, size: Int
    ) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 300_000)
        try bench.makeFile("old.img", bytes: size)
        try FileManager.default.moveItem(
            atPath: bench.source.appending("old.img").string,
            toPath: bench.target.appending("vm.img").string)
        let guest = try bench.guest("vm.img")
        #expect(bench.command("mirror vm.img target=\(bench.target)/").errno == .fileExists)
        #expect(bench.isReady("vm.img", "existing=\(existing)"))
        guest.write([1, 2, 3], at: 77_777)
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
    }

    // 132
    @Test(arguments: ["background", "write-blocking"])
    func `what the guest discards meanwhile is discarded in the twin`(mode: String) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 2 << 20)
        let guest = try bench.guest("vm.img")
        let start = "mirror vm.img target=\(bench.target)/ copy-mode=\(mode)"
        bench.does(start)
        guest.allocate([.punchHole, .keepSize], at: 0, count: 65536)
        bench.becomes("vm.img", .ready)
        guest.allocate([.punchHole, .keepSize], at: 65536, count: 65536)
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
        let twin = try FileDescriptor.openBacking(bench.target.appending("vm.img"), .readOnly)
        defer { try? twin.close() }
        #expect(try twin.nextData(from: 0) == 131072)
    }
}
