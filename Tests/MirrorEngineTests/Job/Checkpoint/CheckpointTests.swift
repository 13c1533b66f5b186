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

/// One mount after the other over the same directories, and an image in it that has checkpoints.
struct CheckpointBench {
    static let size = 4 << 20
    let bench: Bench
    var name = "vm.img"

    init(_ bench: Bench, name: String = "vm.img") throws {
        (self.bench, self.name) = (bench, name)
        try bench.makeFile(name, bytes: Self.size)
    }

    func command(_ line: String, in engine: Engine? = nil) -> CommandResult {
        bench.command(line, in: engine)
    }

    func does(
        _ line: String, in engine: Engine? = nil, note: @autoclosure () -> String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        bench.does(line, in: engine, note: note(), sourceLocation: sourceLocation)
    }

    func guest(in engine: Engine? = nil) throws -> Guest {
        let path = bench.source.appending(name)
        let descriptor = try FileDescriptor.openBacking(path, .readWrite)
        let image = (engine ?? bench.engine).images.image(
            try descriptor.status().identity, path: FilePath(name))
        return Guest(image: image, descriptor: descriptor)
    }

    func report(_ checkpoint: String, in engine: Engine? = nil) -> CheckpointReport? {
        let file = ControlFile.checkpoint(image: Array(name.utf8), name: checkpoint)
        return CheckpointReport(json: (engine ?? bench.engine).content(of: file))
    }

    func extents(_ checkpoint: String, in engine: Engine? = nil) -> [Range<UInt64>]? {
        report(checkpoint, in: engine)?.extents.map { $0.start..<$0.start + $0.length }
    }

    /// Mirrors, and cuts the twin.
    func cut(_ options: String, in engine: Engine? = nil) -> JobReport? {
        let engine = engine ?? bench.engine
        let reply = command("mirror \(name) target=\(bench.target)/ \(options)", in: engine)
        #expect(reply.text.hasPrefix("ok"), "\(reply.text)")
        guard reply.errno == nil, wait(engine, { $0.ready }) else { return nil }
        does("complete \(name) switch=off", in: engine)
        #expect(wait(engine) { $0.phase == .completed })
        let job = engine.report().jobs.first
        does("dismiss \(name)", in: engine)
        return job
    }

    func wait(_ engine: Engine, _ condition: (JobReport) -> Bool) -> Bool {
        for _ in 0..<60_000 {
            if let job = engine.report().jobs.first, condition(job) { return true }
            usleep(1000)
        }
        return false
    }

    var twin: FilePath { bench.target.appending(name) }
}

@Suite struct CheckpointTests {
    let bench: CheckpointBench
    private let granule: UInt64 = 4096

    init() throws { bench = try CheckpointBench(Bench()) }

    @Test
    func `a checkpoint's extents are the granules that were changed since, no more and no fewer`()
        throws
    {
        let guest = try bench.guest()
        var random = SplitMix(seed: UInt64.random(in: 0...UInt64.max))
        let seed = random.state
        var models: [String: Set<UInt64>] = [:]
        for round in 0..<6 {
            let name = "c\(round)"
            bench.does("checkpoint vm.img \(name)")
            #expect(bench.extents(name) == [])
            models[name] = []
            for _ in 0..<20 {
                let count = 1 + random.next(below: 20_000)
                let offset = random.next(below: UInt64(CheckpointBench.size) - count)
                if random.next(below: 3) == 0 {
                    guest.allocate([.punchHole, .keepSize], at: offset, count: count)
                } else {
                    guest.write([UInt8](repeating: 3, count: Int(count)), at: offset)
                }
                for key in models.keys {
                    models[key]!.formUnion(offset / granule...(offset + count - 1) / granule)
                }
            }
            for (name, model) in models {
                let extents = try #require(bench.extents(name))
                let found = Set(
                    extents.flatMap { $0.lowerBound / granule..<$0.upperBound / granule })
                #expect((found == model) as Bool, "\(name), seed \(seed)")
            }
        }
        #expect(bench.report("c0")?.complete == true)
        #expect(bench.report("c0")?.size == UInt64(CheckpointBench.size))
    }

    @Test func `an incremental job copies what changed, and ends equal`() throws {
        let guest = try bench.guest()
        bench.does("checkpoint vm.img monday")
        guest.write([1, 2, 3], at: 7)
        #expect(bench.cut("") != nil)
        for round in 1...3 {
            let byte = UInt8(round)
            guest.write([UInt8](repeating: byte, count: 10_000), at: UInt64(round) * 1_000_000)
            guest.truncate(to: UInt64(CheckpointBench.size + round * 5000))
            let job = try #require(bench.cut("sync=incremental checkpoint=monday"))
            // What changed since the checkpoint, not since the last cut: at most 1 + 4 a round.
            #expect(job.copiedBytes >= 4096 * 3)
            #expect(job.copiedBytes <= 4096 * (3 + 5 * round), "round \(round)")
            #expect(job.targetState == .consistent)
            #expect(bench.bench.isEqual("vm.img"), "round \(round)")
        }
        #expect(bench.extents("monday")?.isEmpty == false)
    }

    @Test func `an incremental job beside a writer ends equal`() throws {
        let guest = try bench.guest()
        bench.does("checkpoint vm.img monday")
        #expect(bench.cut("") != nil)
        for _ in 0..<5 {
            let writer = Writer(
                guest: guest, seed: UInt64.random(in: 0...UInt64.max),
                size: UInt64(CheckpointBench.size))
            writer.start()
            let reply = bench.command(
                "mirror vm.img target=\(bench.bench.target)/ sync=incremental checkpoint=monday"
                    + " max-pause=60000")
            #expect(reply.errno == nil)
            #expect(bench.wait(bench.bench.engine) { $0.ready })
            writer.stop()
            bench.does("complete vm.img switch=off")
            bench.bench.becomes(bench.name, .completed)
            bench.does("dismiss vm.img")
            #expect(bench.bench.isEqual("vm.img"))
        }
    }

    @Test func `a twin that was not cut while the checkpoint existed is refused`() throws {
        let options = "mirror vm.img target=\(bench.bench.target)/ sync=incremental checkpoint"
        #expect(bench.command("\(options)=monday").errno == .noSuchFileOrDirectory)
        #expect(bench.cut("") != nil)
        bench.does("checkpoint vm.img monday")
        let early = bench.command("\(options)=monday")
        #expect(early.errno == .resourceBusy)
        #expect(early.text.contains("was not cut from this image while the checkpoint existed"))
        #expect(early.text.contains("existing=reuse"))
        // The way that the message names.
        #expect(bench.cut("existing=reuse") != nil)
        #expect(bench.cut("sync=incremental checkpoint=monday") != nil)

        try setState("inconsistent")
        #expect(bench.command("\(options)=monday").text.contains("is not consistent"))
        try setState("consistent")
        #expect(bench.cut("sync=incremental checkpoint=monday") != nil)
        // A checkpoint that gets an old one's name is another one.
        bench.does("checkpoint vm.img monday delete=on")
        bench.does("checkpoint vm.img monday")
        #expect(bench.command("\(options)=monday").errno == .resourceBusy)
        try bench.twin.removeFile()
        #expect(bench.command("\(options)=monday").text.contains("there is no such file"))
    }

    private func setState(_ state: String) throws {
        let file = try FileDescriptor.openBacking(bench.twin, .readWrite)
        defer { try? file.close() }
        try file.setAttribute("user.twinfs.state", state)
    }

    @Test func `a job that ends early leaves nothing to go on with`() throws {
        bench.does("checkpoint vm.img monday")
        #expect(bench.cut("") != nil)
        let guest = try bench.guest()
        guest.write([UInt8](repeating: 1, count: 1 << 20), at: 0)
        let options = "target=\(bench.bench.target)/ sync=incremental checkpoint=monday"
        bench.does("mirror vm.img \(options) speed=64K")
        bench.does("cancel vm.img force=on")
        bench.bench.becomes(bench.name, .cancelled)
        #expect(bench.command("mirror vm.img \(options)").errno != nil)
    }

    @Test func `a checkpoint's name is taken once, and an image has a bounded number of them`()
        throws
    {
        bench.does("checkpoint vm.img monday")
        #expect(bench.command("checkpoint vm.img monday").errno == .fileExists)
        #expect(bench.command("checkpoint gone.img monday").errno == .noSuchFileOrDirectory)
        #expect(
            bench.command("checkpoint vm.img tuesday delete=on").errno == .noSuchFileOrDirectory)
        for number in 1..<Checkpoints.most {
            bench.does("checkpoint vm.img c\(number)")
        }
        #expect(bench.command("checkpoint vm.img more").errno == .resourceBusy)
        bench.does("checkpoint vm.img monday delete=on")
        #expect(bench.report("monday") == nil)
        bench.does("checkpoint vm.img more")
        for checkpoint in bench.bench.engine.checkpoints.all {
            bench.does("checkpoint vm.img \(checkpoint.name) delete=on")
        }
        #expect(eventually { bench.bench.engine.images.all.isEmpty })
    }

    @Test func `readers past the daemon and checkpoints exclude each other`() throws {
        let guest = try bench.guest()
        #expect(guest.image.pin())
        #expect(bench.command("checkpoint vm.img monday").errno == .resourceBusy)
        guest.image.unpin()
        bench.does("checkpoint vm.img monday")
        #expect(!guest.image.pin())
        bench.does("checkpoint vm.img monday delete=on")
        #expect(guest.image.pin())
    }

    @Test func `checkpoints stand in directories as their images do, and follow a rename`() throws {
        _ = try bench.bench.source.appending("a").makeDirectory()
        try bench.bench.makeFile("a/b.img", bytes: 4096)
        bench.does("checkpoint a/b.img one")
        bench.does("checkpoint vm.img two")
        let engine = bench.bench.engine
        #expect(names(engine, []) == ["a", "vm.img"])
        #expect(names(engine, ["a"]) == ["b.img"])
        #expect(names(engine, ["a", "b.img"]) == ["one"])
        #expect(
            engine.lookUp(
                Array("one".utf8), in: .checkpoints(["a", "b.img"].map { Array($0.utf8) }))
                == .checkpoint(image: Array("a/b.img".utf8), name: "one"))
        engine.renamed(from: "a", to: "z")
        #expect(names(engine, ["z", "b.img"]) == ["one"])
        let identity = try bench.bench.source.appending("a/b.img").status().identity
        engine.deleted(identity)
        #expect(names(engine, []) == ["vm.img"])
    }

    private func names(_ engine: Engine, _ path: [String]) -> [String] {
        engine.entries(of: .checkpoints(path.map { Array($0.utf8) }))
            .map { String(decoding: $0.name, as: UTF8.self) }.sorted()
    }
}
