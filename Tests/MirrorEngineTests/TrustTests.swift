import Dispatch
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

@Suite struct TrustTests {
    private static let second: Int64 = 1_000_000_000
    private static let hour = 3600 * second
    /// Of the crash.
    private static let then = 1_000_000 * second

    private let beat = Heartbeat(
        boot: "one", time: then, source: TrustTests.stamp(1), twin: TrustTests.stamp(2))

    private static func stamp(_ inode: UInt64, _ later: Int64 = 0) -> FileStamp {
        var stamp = FileStamp(try! FilePath("/").status())
        (stamp.device, stamp.inode, stamp.size) = (7, inode, 1 << 30)
        (stamp.modified, stamp.changed) = (then + later, then + later)
        return stamp
    }

    private let same = Trust.Now(boot: "one", time: then + hour, bootTime: then - hour)
    private let other = Trust.Now(boot: "two", time: then + hour, bootTime: then + hour / 2)

    private func reason(
        _ source: FileStamp, _ twin: FileStamp, _ now: Trust.Now
    ) -> String? {
        Trust.reason(beat, source, twin, now)
    }

    private func reason(_ now: Trust.Now) -> String? {
        reason(Self.stamp(1), Self.stamp(2), now)
    }

    @Test func `what nobody has touched is believed`() {
        #expect(reason(same) == nil)
        #expect(reason(other) == nil)
        // Written after the last heartbeat that reached the disk.
        #expect(reason(Self.stamp(1, Self.second), Self.stamp(2, Self.second), same) == nil)
        let late = 40 * Self.second
        #expect(reason(Self.stamp(1, late), Self.stamp(2, late), other) == nil)
        // What had not reached the disk is older there.
        #expect(reason(Self.stamp(1, -late), Self.stamp(2, -late), other) == nil)
    }

    @Test func `another file is not believed`() {
        for now in [same, other] {
            #expect(reason(Self.stamp(3), Self.stamp(2), now) != nil)
            #expect(reason(Self.stamp(1), Self.stamp(3), now) != nil)
        }
        var moved = Self.stamp(1)
        moved.device = 8
        #expect(reason(moved, Self.stamp(2), same) != nil)
        // Numbers of devices may change from boot to boot.
        #expect(reason(moved, Self.stamp(2), other) == nil)
    }

    @Test func `what was changed behind the mount is not believed`() {
        let late = 3 * Self.second
        #expect(reason(Self.stamp(1, late), Self.stamp(2), same) != nil)
        #expect(reason(Self.stamp(1), Self.stamp(2, late), same) != nil)
        // Its time was set back by whoever changed it.
        var forged = Self.stamp(2)
        (forged.modified, forged.changed) = (Self.then, Self.then + late)
        #expect(reason(Self.stamp(1), forged, same) != nil)
        forged.changed = Self.then
        forged.modified = Self.then - 1
        #expect(reason(Self.stamp(1), forged, same) != nil)
        for wait in [61 * Self.second, Self.hour / 2 + 1] {
            #expect(reason(Self.stamp(1, wait), Self.stamp(2), other) != nil)
            #expect(reason(Self.stamp(1), Self.stamp(2, wait), other) != nil)
        }
        // This boot was so fast that only its own time tells.
        let fast = Trust.Now(
            boot: "two", time: Self.then + Self.hour, bootTime: Self.then + 10 * Self.second)
        #expect(reason(Self.stamp(1, 11 * Self.second), Self.stamp(2), fast) != nil)
    }

    @Test func `a clock that has gone back is not believed`() {
        let past = Trust.Now(
            boot: "two", time: Self.then - Self.hour, bootTime: Self.then - 2 * Self.hour)
        #expect(reason(past) != nil)
    }

    @Test func `without a log, its heartbeat or files there is no verdict but to compare`() throws {
        let file = try FilePath("/proc/self/exe").status()
        let device = try FilePath("/dev/null").status()
        func isCompared(
            _ log: IntentLog?, _ source: FileStatus?, _ twin: FileStatus?, isVoid: Bool = false
        ) -> Bool {
            let verdict = Trust.verdict(log?.past, source: source, twin: twin, isVoid: isVoid)
            if case .compare = verdict { return true }
            return false
        }
        let (written, store) = IntentLog.onDisk()
        let extent = IntentLog.extent
        written.set(ByteRange(0, 1))
        #expect(isCompared(IntentLog.read(store.content()), file, file))
        written.beat(FileStamp(file), FileStamp(file))
        written.queue.sync {}
        let log = IntentLog.read(store.content())
        #expect(
            Trust.verdict(log?.past, source: file, twin: file, isVoid: false)
                == .intent([ByteRange(0, extent)]))
        #expect(isCompared(nil, file, file))
        #expect(isCompared(log, device, file))
        #expect(isCompared(log, file, device))
        #expect(isCompared(log, file, nil))
        #expect(isCompared(log, file, file, isVoid: true))
    }
}
