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

/// A mount ends in order, and the next one goes on with its jobs; it believes nothing that it
/// cannot prove.
@Suite struct RemountTests {
    private static let size = 4 << 20
    let bench: Bench
    private let image: FilePath
    private let twin: FilePath

    /// A job in ready, with its twin in sync.
    init() throws {
        bench = try Bench()
        (image, twin) = (bench.source.appending("vm.img"), bench.target.appending("vm.img"))
        try bench.makeFile("vm.img", bytes: Self.size)
        // What the write-intent log adds is another story.
        let start = "mirror vm.img target=\(bench.target)/ max-pause=77 intent=off"
        bench.does(start)
        #expect(bench.engine.isInSync("vm.img"))
    }

    private func change(_ path: FilePath, _ byte: UInt8 = 0xaa, at offset: UInt64 = 70_000) throws {
        let file = try FileDescriptor.openBacking(path, .readWrite)
        defer { try? file.close() }
        try [byte].withUnsafeBytes { try file.writeFully($0, at: offset) }
    }

    /// Later than the mount can have written anything itself (`Trust.slack`).
    private func changeLater(_ path: FilePath) throws {
        usleep(3_000_000)
        try change(path)
    }

    private func comesBack(_ how: ReturnProof, _ faults: FaultPlan? = nil) -> Engine {
        let engine = bench.remounted(faults: faults)
        let isSo = engine.wait("vm.img") { $0.resumed == how }
        #expect(isSo, "\(engine.job("vm.img")?.resumed.rawValue ?? "no job")")
        return engine
    }

    @Test func `a job that comes back after a clean end copies and compares nothing`() throws {
        try bench.guest("vm.img").write([4, 5, 6], at: 1_000_000)
        bench.engine.shutDown()
        #expect(bench.isEqual("vm.img"))
        #expect(try twin.attribute("user.twinfs.state") == "consistent")
        #expect(!bench.events.contains { $0.contains("BLOCK_JOB_COMPLETED") })
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        let engine = comesBack(.clean, faults)
        #expect(engine.isInSync("vm.img"))
        let job = try #require(engine.job("vm.img"))
        #expect(job.phase == .ready && job.ready && job.resumedBytes == 0)
        #expect(faults.count(of: .write) == 0 && faults.count(of: .read) <= 2)
        #expect(try twin.attribute("user.twinfs.state") == "inconsistent")
        #expect(engine.jobs.all.first?.settings.maxPause == 77)
        try bench.guest("vm.img", in: engine).write([1], at: 5)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        // Again, and again.
        engine.shutDown()
        let third = comesBack(.clean)
        #expect(try twin.attribute("user.twinfs.job")?.hasSuffix(" 3") == true)
        third.shutDown()
    }

    @Test func `a job in bulk goes on with what was left`() throws {
        try bench.makeFile("b.img", bytes: Self.size)
        bench.does("mirror b.img target=\(bench.target)/ speed=1M")
        #expect(bench.wait("b.img") { $0.copiedBytes >= 1 << 20 })
        let before = try #require(bench.job("b.img"))
        bench.engine.shutDown()
        let engine = bench.remounted()
        #expect(engine.wait("b.img") { $0.resumed == .clean })
        let left = try #require(engine.job("b.img")?.resumedBytes)
        #expect(left > 0 && left <= Self.size - before.copiedBytes + 4096)
        #expect(engine.job("b.img")?.phase == .bulk)
        bench.does("set b.img speed=0", in: engine)
        #expect(engine.isInSync("b.img") && bench.isEqual("b.img"))
        engine.shutDown()
    }

    @Test func `a paused job is paused again, with its marks`() throws {
        bench.does("pause vm.img")
        try bench.guest("vm.img").write([9], at: 2_000_000)
        bench.engine.shutDown()
        let engine = comesBack(.clean)
        let job = try #require(engine.job("vm.img"))
        #expect(job.paused && job.resumedBytes == 4096 && job.phase == .ready)
        bench.does("resume vm.img", in: engine)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        engine.shutDown()
    }

    @Test(arguments: ["source", "twin", "source-touched", "twin-copied"])
    func `what was changed behind the mount is compared`(what: String) throws {
        bench.engine.shutDown()
        switch what {
        case "source": try change(image)
        case "twin": try change(twin)
        case "source-touched":
            let file = try FileDescriptor.openBacking(image, .readWrite)
            file.adopt(owner: 0, group: 0, mode: 0o640)
            try file.close()
        default:
            let copy = FilePath(twin.string + ".copy")
            try FileManager.default.copyItem(atPath: twin.string, toPath: copy.string)
            let stamp = try #require(try twin.attribute("user.twinfs.job"))
            let file = try FileDescriptor.openBacking(copy, .readWrite)
            try file.setAttribute("user.twinfs.job", stamp)
            try file.close()
            try change(copy)
            try copy.replace(twin)
        }
        let engine = comesBack(.compare)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        engine.shutDown()
    }

    @Test func `a mount that did not end in order proves nothing`() throws {
        _ = try bench.kill(bench.engine)
        try changeLater(image)
        let engine = comesBack(.compare)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        engine.shutDown()
    }

    @Test func `after the death of keeper and worker the write-intent log says what may differ`()
        throws
    {
        let size = 64 << 20
        let bench = try Bench(intentPeriod: Bench.shortPeriod)
        try bench.makeFile("vm.img", bytes: size)
        bench.does("mirror vm.img target=\(bench.target)/")
        #expect(bench.engine.isInSync("vm.img"))
        let log = try #require(bench.engine.jobs.all.first?.members.first?.intents)
        // Behind the copier, once nothing was written for a while.
        for _ in 0..<60_000 where log.setCount.load(ordering: .relaxed) > 1 { usleep(1000) }
        #expect(log.setCount.load(ordering: .relaxed) <= 1)
        bench.does("pause vm.img")
        let image = try bench.guest("vm.img")
        image.write([1, 2, 3], at: 30_000_000)
        _ = try bench.kill(bench.engine)
        let engine = bench.remounted()
        #expect(engine.wait("vm.img") { $0.resumed == .intent })
        let left = try #require(engine.job("vm.img")?.resumedBytes)
        #expect(left >= 4096 && left <= 8 << 20)
        bench.does("resume vm.img", in: engine)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        engine.shutDown()
    }

    @Test func `the saved marks of a job are believed once`() throws {
        bench.engine.shutDown()
        let second = comesBack(.clean)
        #expect(second.isInSync("vm.img"))
        _ = try bench.kill(second)
        try changeLater(image)
        let third = comesBack(.compare)
        #expect(third.isInSync("vm.img") && bench.isEqual("vm.img"))
        third.shutDown()
    }

    @Test func `the twin of another job is left alone`() throws {
        try bench.makeFile("other.img", bytes: Self.size)
        bench.does("mirror other.img target=\(bench.target)/")
        #expect(bench.engine.isInSync("other.img"))
        bench.engine.shutDown()
        try twin.replace(FilePath(twin.string + ".away"))
        let other = bench.target.appending("other.img")
        try other.replace(twin)
        let content = try twin.content()
        let engine = bench.remounted()
        engine.becomes("vm.img", .failed)
        #expect(engine.job("vm.img")?.error?.contains("is the twin of another job") == true)
        let isSame = try twin.content() == content
        #expect(isSame)
        engine.shutDown()
    }

    @Test func `another generation of the twin is compared`() throws {
        bench.engine.shutDown()
        let stamp = try #require(try twin.attribute("user.twinfs.job"))
        let file = try FileDescriptor.openBacking(twin, .readWrite)
        try file.setAttribute("user.twinfs.job", stamp.dropLast(1) + "7")
        try file.close()
        let engine = comesBack(.compare)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        engine.shutDown()
    }

    @Test(arguments: ["gone", "replaced"])
    func `a job without its image stays in the list, and says so`(how: String) throws {
        bench.engine.shutDown()
        try image.replace(bench.root.appending("away"))
        if how == "replaced" { try bench.makeFile("vm.img", bytes: 1000) }
        let engine = bench.remounted()
        let job = try #require(engine.job("vm.img"))
        #expect(job.phase == .failed && job.error?.contains("its twin is kept") == true)
        #expect(try twin.content().count == Self.size)
        bench.does("dismiss vm.img", in: engine)
        #expect(bench.remounted().report().jobs.isEmpty)
    }

    @Test func `a record that is damaged anywhere, or cut short, starts nothing`() throws {
        bench.engine.shutDown()
        let id = try #require(bench.engine.jobs.all.first?.uuid)
        let path = bench.state.appending(JobRecord.name(id))
        let marks = bench.state.appending(JobExtents.name(id, 0))
        let (whole, exact) = (try path.content(), try marks.content())
        let content = try twin.content()
        for index in stride(from: 0, to: whole.count, by: Bench.every(7)) {
            var changed = whole
            changed[index] ^= [0x01, 0x80, 0x20][index % 3]
            for bytes in [changed, Array(whole[..<index])] {
                try write(bytes, path)
                let engine = bench.remounted()
                #expect(engine.jobs.all.isEmpty && engine.report().warnings.count == 1, "\(index)")
                engine.shutDown()
            }
        }
        try write(Array("{\"version\":2,\"better\":true}\n".utf8), path)
        let engine = bench.remounted()
        #expect(engine.report().warnings.first?.contains("another twinfs (version 2") == true)
        let isSame = try twin.content() == content
        #expect(isSame)
        // Left as it is, and good again once it is whole.
        try write(whole, path)
        try write(exact, marks)
        comesBack(.clean).shutDown()
    }

    @Test func `marks that are damaged, or of another job, are not believed`() throws {
        bench.engine.shutDown()
        var current = bench.engine
        for round in 0..<3 {
            let id = try #require(current.jobs.all.first?.uuid)
            let marks = bench.state.appending(JobExtents.name(id, 0))
            var bytes = try marks.content()
            switch round {
            case 0: bytes[bytes.count / 2] ^= 1
            case 1: bytes = []
            default:
                let text = String(decoding: bytes, as: UTF8.self)
                let body = text.split(separator: "\n")[1].replacing(id, with: RandomID.make())
                bytes = SealedText.seal(Array((body + "\n").utf8))
            }
            try write(bytes, marks)
            try change(image, UInt8(round))
            current = comesBack(.compare)
            #expect(current.isInSync("vm.img") && bench.isEqual("vm.img"))
            current.shutDown()
        }
    }

    @Test func `a state directory that cannot be written costs the guest nothing, and is told`()
        throws
    {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        _ = try bench.root.appending("var").makeDirectory()
        try write([], bench.state)
        bench.does("mirror vm.img target=\(bench.target)/")
        #expect(bench.engine.isInSync("vm.img"))
        let warning = try #require(bench.engine.report().warnings.first)
        #expect(
            warning.hasPrefix("job vm.img: what it needs to come back after a crash cannot be kept")
        )
    }

    private func write(_ bytes: [UInt8], _ path: FilePath) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path.string))
    }
}

extension FilePath {
    func attribute(_ name: String) throws -> String? {
        let file = try FileDescriptor.openBacking(self, .readOnly)
        defer { try? file.close() }
        return file.attribute(name)
    }
}
