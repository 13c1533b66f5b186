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

/// A job that was in sync and stands still: its twin is a good past state of the image, and says of
/// when.
@Suite struct StandstillTests {
    let bench: Bench
    private let image: FilePath
    private let twin: FilePath

    init() throws {
        bench = try Bench()
        (image, twin) = (bench.source.appending("vm.img"), bench.target.appending("vm.img"))
        try bench.makeFile("vm.img", bytes: 4 << 20)
    }

    private func starts(_ more: String = "") {
        let reply = bench.command("mirror vm.img target=\(bench.target)/ intent=off \(more)")
        #expect(reply.errno == nil, "\(reply.text)")
        #expect(bench.engine.isInSync("vm.img"))
    }

    private func state(_ path: FilePath? = nil) throws -> String? {
        try (path ?? twin).attribute(TwinAttribute.state)
    }

    /// Pauses in sync, then the guest writes.
    ///
    /// - Returns: the image as it was at the pause.
    private func standsStill() throws -> [UInt8] {
        #expect(bench.command("pause vm.img").errno == nil)
        let then = try image.content()
        try bench.guest("vm.img").write([1, 2, 3], at: 70_000)
        #expect(bench.wait("vm.img") { $0.targetState == .outdated })
        return then
    }

    @Test func `a job that is paused in sync stays synced while the guest writes nothing`() throws {
        starts()
        #expect(bench.command("pause vm.img").errno == nil)
        #expect(bench.eventually { (try? state()) == "outdated" })
        #expect(bench.job("vm.img")?.targetState == .synced)
        #expect(bench.job("vm.img")?.inSyncTime == nil)
    }

    @Test
    func `a paused job's twin is outdated once the guest writes, and the image as it was`()
        throws
    {
        let before = WallClock.now.seconds
        starts()
        let then = try standsStill()
        #expect(try twin.content() == then)
        let job = try #require(bench.job("vm.img"))
        let time = try #require(job.inSyncTime)
        #expect((before...WallClock.now.seconds).contains(time))
        #expect(try state() == "outdated")
        #expect(try twin.attribute("user.twinfs.cut") == "\(time)")
        #expect(job.rate == 0 && job.dirtyRate == 0)
        let text = StatusText.render(bench.engine.report(), now: time + 720)
        #expect(text.contains("(12m 0s ago), on stable storage"))
    }

    @Test(arguments: ["background", "write-blocking"])
    func `an outdated twin is inconsistent before anything is copied, and synced in the end`(
        mode: String
    ) throws {
        starts("copy-mode=\(mode)")
        _ = try standsStill()
        #expect(bench.command("set vm.img speed=64K").errno == nil)
        let guest = try bench.guest("vm.img")
        guest.write([UInt8](repeating: 7, count: 1 << 20), at: 1 << 20)
        #expect(bench.command("resume vm.img").errno == nil)
        #expect(bench.wait("vm.img") { $0.targetState == .inconsistent })
        #expect(try state() == "inconsistent")
        #expect(bench.command("set vm.img speed=0").errno == nil)
        #expect(bench.engine.isInSync("vm.img"))
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a job that is paused with something left to copy has an inconsistent twin`() throws
    {
        starts("speed=64K")
        let guest = try bench.guest("vm.img")
        guest.write([UInt8](repeating: 7, count: 1 << 20), at: 1 << 20)
        #expect(bench.wait("vm.img") { $0.copiedBytes > 4 << 20 })
        #expect(bench.command("pause vm.img").errno == nil)
        #expect(bench.wait("vm.img") { $0.inFlightBytes == 0 })
        usleep(200_000)
        #expect(bench.job("vm.img")?.targetState == .inconsistent)
        #expect(try state() == "inconsistent")
    }

    @Test func `a cancelled job leaves an outdated twin that says so`() throws {
        starts()
        let then = try standsStill()
        let reply = bench.command("cancel vm.img force=on")
        #expect(reply.text.contains("outdated: it equals the image as of"))
        #expect(bench.wait("vm.img") { $0.phase == .cancelled && $0.targetState == .outdated })
        #expect(bench.job("vm.img")?.inSyncTime != nil)
        #expect(try state() == "outdated")
        #expect(try twin.content() == then)
    }

    @Test func `a twin whose flush fails while its job stands still is not outdated`() throws {
        let plan = FaultPlan(error: .ioError, first: 1, isLasting: true, only: .flush)
        plan.mend()
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let start = "mirror vm.img target=\(bench.target)/ intent=off"
        #expect(bench.command(start).errno == nil)
        #expect(bench.engine.isInSync("vm.img"))
        plan.relapse()
        #expect(bench.command("pause vm.img").errno == nil)
        try bench.guest("vm.img").write([1], at: 1000)
        usleep(200_000)
        #expect(bench.job("vm.img")?.targetState == .inconsistent)
        #expect(try state(bench.target.appending("vm.img")) == "inconsistent")
    }

    @Test func `an outdated twin outlives its worker, and the mount`() throws {
        starts()
        let then = try standsStill()
        let time = bench.job("vm.img")?.inSyncTime
        let second = try bench.nextWorker(after: bench.engine)
        #expect(second.wait("vm.img") { $0.targetState == .outdated && $0.resumed == .worker })
        #expect(second.job("vm.img")?.inSyncTime == time)
        second.shutDown()
        #expect(try state() == "outdated")
        let third = bench.remounted()
        #expect(third.wait("vm.img") { $0.targetState == .outdated && $0.resumed == .clean })
        #expect(try twin.content() == then)
        #expect(bench.command("resume vm.img", in: third).errno == nil)
        #expect(third.isInSync("vm.img"))
        #expect(try state() == "inconsistent")
        #expect(bench.isEqual("vm.img"))
        third.shutDown()
    }

    @Test func `an outdated twin that somebody wrote between two mounts is inconsistent`() throws {
        starts()
        _ = try standsStill()
        bench.engine.shutDown()
        let file = try FileDescriptor.openBacking(twin, .readWrite)
        try [UInt8(9)].withUnsafeBytes { try file.writeFully($0, at: 5) }
        try file.close()
        let engine = bench.remounted()
        #expect(engine.wait("vm.img") { $0.resumed == .compare })
        #expect(engine.job("vm.img")?.targetState == .inconsistent)
        #expect(bench.eventually { (try? state()) == "inconsistent" })
        engine.shutDown()
    }

    @Test func `the twins of a group are outdated together, of one instant`() throws {
        try bench.makeFile("other.img", bytes: 1 << 20)
        let start = "mirror vm.img other.img target=\(bench.target)/ intent=off"
        let reply = bench.command(start)
        #expect(reply.errno == nil)
        let id = String(reply.text.dropFirst(3).prefix { $0 != ":" })
        #expect(bench.engine.isInSync(id))
        #expect(bench.command("pause \(id)").errno == nil)
        let other = try bench.source.appending("other.img").content()
        try bench.guest("other.img").write([1], at: 1000)
        #expect(bench.wait(id) { $0.targetState == .outdated })
        for name in ["vm.img", "other.img"] {
            #expect(try state(bench.target.appending(name)) == "outdated")
        }
        #expect(try bench.target.appending("other.img").content() == other)
        #expect(bench.isEqual("vm.img"))
    }
}
