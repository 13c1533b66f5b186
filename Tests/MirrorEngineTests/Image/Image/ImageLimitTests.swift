import Foundation
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

/// An image on a block device ends where it ended, though the device goes on. A file that is too
/// long stands for the device.
@Suite struct ImageLimitTests {
    private static let end: UInt64 = 50_000
    let bench: Bench
    let handle: TestHandle
    let tracker: Tracker

    init() throws {
        bench = try Bench()
        try bench.makeFile("vm.img", bytes: 60_000)
        handle = try bench.open("vm.img")
        let node = try FileDescriptor.openNode(at: bench.source.appending("vm.img"))
        let device = Backing(path: "/dev/x", node: node, isDevice: true, length: Self.end)
        handle.image.bound(to: device.limit)
        let table = DirtyTable(
            granularity: .standard, gauge: handle.image.gate.gauge)
        tracker = Tracker(table: table) {}
        handle.image.trackers.add(tracker)
    }

    private func isDone(_ outcome: Image.Outcome, _ count: Int) -> Bool {
        if case .done(count) = outcome { return true }
        return false
    }

    private func isFailed(_ outcome: Image.Outcome, _ error: Errno) -> Bool {
        if case .failed(error) = outcome { return true }
        return false
    }

    @Test func `a write to a limited image is short up to its end, and then there is no space`()
        throws
    {
        let before = handle.content
        let data = [UInt8](repeating: 0, count: 3000)
        #expect(isFailed(handle.guest.write(data, at: Self.end), .noSpace))
        #expect(isFailed(handle.guest.write([0], at: 1 << 40), .noSpace))
        #expect(isDone(handle.guest.write([], at: Self.end + 1), 0))
        #expect(tracker.table.dirtyBytes == 0)
        let isUnchanged = handle.content == before
        #expect(isUnchanged)
        #expect(isDone(handle.guest.write(data, at: Self.end - 1000), 1000))
        #expect(isDone(handle.guest.write(data, at: Self.end - 3000), 3000))
        let now = handle.content
        let isBelow = now[47_000..<50_000].allSatisfy { $0 == 0 }
        let isRest = now[50_000...] == before[50_000...] && now[..<47_000] == before[..<47_000]
        #expect(isBelow && isRest && tracker.table.dirtyBytes > 0)
    }

    @Test func `a read through a pipe is refused where it would go past the end`() throws {
        let pipe = try PagePipe(1 << 20)
        for (offset, count, isWhole) in [
            (0, 50_000, true), (0, 50_001, false), (49_999, 1, true), (50_000, 1, false),
        ] {
            let isRead = handle.image.readPages(
                count, into: pipe, at: UInt64(offset), through: handle.path)
            #expect(isRead == isWhole)
            let scratch = PageMemory(count: 65_536)
            pipe.empty(into: scratch.bytes)
        }
    }

    @Test func `a read and a search of a limited image end at its limit`() throws {
        let image = handle.image
        #expect(image.owned(4096, at: 0) == 4096 && image.owned(4096, at: 49_000) == 1000)
        #expect(image.owned(4096, at: Self.end) == 0 && image.owned(4096, at: 1 << 40) == 0)
        #expect(try image.owned(60_000, from: 100) == 50_000)
        #expect(throws: Errno.noSuchAddressOrDevice) { try image.owned(50_000, from: 50_000) }
    }

    @Test func `a limited image keeps its size, and what leads past it is not allocated`() throws {
        let (image, descriptor) = (handle.image, handle.descriptor)
        let before = handle.content
        #expect(isDone(image.truncate(to: Self.end, through: descriptor), 0))
        #expect(isFailed(image.truncate(to: 55_000, through: descriptor), .noSpace))
        #expect(isFailed(image.truncate(to: 0, through: descriptor), .invalidArgument))
        #expect(isFailed(image.allocate([], at: 0, count: 55_000, through: descriptor), .noSpace))
        let punch: AllocationMode = [.punchHole, .keepSize]
        #expect(isDone(image.allocate(punch, at: Self.end, count: 9, through: descriptor), 0))
        let isUnchanged = handle.content == before
        #expect(isUnchanged && tracker.table.dirtyBytes == 0)
        #expect(isDone(image.allocate(punch, at: 49_000, count: 11_000, through: descriptor), 0))
        let now = handle.content
        let isPunched =
            now[49_000..<50_000].allSatisfy { $0 == 0 } && now[50_000...] == before[50_000...]
        #expect(isPunched && tracker.table.dirtyBytes > 0)
    }

    @Test func `an image on a file ends where the file does`() throws {
        handle.image.bound(to: .max)
        #expect(isDone(handle.guest.write([1, 2], at: 70_000), 2))
        handle.guest.truncate(to: 80_000)
        #expect(try handle.descriptor.status().size == 80_000)
        #expect(handle.image.owned(4096, at: 79_000) == 4096)
    }

    @Test func `a switch-over to a file lifts the limit, and a new open sets it`() throws {
        handle.image.bound(to: .max)
        try bench.switchOver([bench.twin(handle, "vm.img")])
        #expect(isDone(handle.guest.write([1], at: 70_000), 1))
        handle.image.limit.store(1, ordering: .relaxed)
        _ = try bench.open("vm.img")
        #expect(isDone(handle.guest.write([1], at: 71_000), 1))
    }
}
