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

/// The mount ends in the middle of everything, and its keeper with it: what its write-intent logs
/// say is copied, where they can be believed.
@Suite struct IntentResumeTests {
    private static let extent = IntentLog.extent
    private static let size = 6 * Int(IntentLog.extent)
    let bench: Bench

    init() throws {
        bench = try Bench(intentPeriod: Bench.shortPeriod)
        try bench.makeFile("vm.img", bytes: Self.size)
    }

    private func mirror(_ parameters: String = "") {
        bench.does("mirror vm.img target=\(bench.target)/ \(parameters)")
    }

    private func log(_ engine: Engine) throws -> IntentLog {
        try #require(engine.jobs.exactly(Array("vm.img".utf8))?.members[0].intents)
    }

    private func atRest() throws -> IntentLog {
        #expect(bench.engine.isInSync("vm.img"))
        let log = try log(bench.engine)
        #expect(bench.wait("vm.img") { _ in log.setCount.load(ordering: .relaxed) == 0 })
        return log
    }

    private func comesBack(_ how: ReturnProof) throws -> Engine {
        let engine = bench.remounted()
        let isSo = engine.wait("vm.img") { $0.resumed == how }
        #expect(isSo, "\(engine.job("vm.img")?.resumed.rawValue ?? "no job")")
        return engine
    }

    private func agrees(_ engine: Engine) {
        bench.does("set vm.img speed=0", in: engine)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        engine.shutDown()
    }

    @Test func `a job in sync copies what was written last`() throws {
        mirror()
        _ = try atRest()
        bench.does("pause vm.img")
        try bench.guest("vm.img").write([1, 2, 3], at: 2 * Self.extent + 5)
        _ = try bench.kill(bench.engine)
        let engine = try comesBack(.intent)
        #expect(engine.job("vm.img")?.resumedBytes == Int(Self.extent))
        bench.does("resume vm.img", in: engine)
        agrees(engine)
    }

    @Test func `a job in bulk copies what was not yet known to be durable`() throws {
        mirror("speed=2M")
        let log = try log(bench.engine)
        let all = IntentFormat.extentsPerBlock
        // Both halves of the image, in which nothing is left, and the extents behind its end.
        #expect(bench.wait("vm.img") { _ in log.setCount.load(ordering: .relaxed) <= 4 })
        #expect(log.setCount.load(ordering: .relaxed) < all)
        _ = try bench.kill(bench.engine)
        let engine = try comesBack(.intent)
        let left = try #require(engine.job("vm.img")?.resumedBytes)
        #expect(left > 0 && left <= 4 * Int(Self.extent))
        agrees(engine)
    }

    @Test(arguments: ["void", "gone", "damaged"])
    func `a job without a log to believe compares all, and believes its log the next time`(
        what: String
    ) throws {
        mirror()
        let log = try atRest()
        if what == "void" { log.becomeVoid(.ioError) }
        bench.does("pause vm.img")
        try bench.guest("vm.img").write([1, 2, 3], at: 2 * Self.extent + 5)
        _ = try bench.kill(bench.engine)
        let file = bench.state.appending(IntentFile.name(log.id))
        switch what {
        case "gone": try file.removeFile()
        case "damaged":
            let open = try FileDescriptor.openBacking(file, .readWrite)
            try [UInt8(1)].withUnsafeBytes { try open.writeFully($0, at: 3) }
            try open.close()
        default: break
        }
        let engine = try comesBack(.compare)
        bench.does("resume vm.img", in: engine)
        #expect(engine.isInSync("vm.img") && bench.isEqual("vm.img"))
        let next = try self.log(engine)
        #expect(engine.wait("vm.img") { _ in next.setCount.load(ordering: .relaxed) == 0 })
        _ = try bench.kill(engine)
        agrees(try comesBack(.intent))
    }

    @Test func `an end in the middle of a comparison does not make the old log believed`() throws {
        mirror()
        _ = try atRest()
        bench.does("set vm.img speed=1M")
        _ = try bench.kill(bench.engine)
        usleep(3_000_000)
        for path in [bench.source, bench.target] {
            let file = try FileDescriptor.openBacking(path.appending("vm.img"), .readWrite)
            let bytes = (0..<4096).map { _ in UInt8.random(in: 0...255) }
            try bytes.withUnsafeBytes { try file.writeFully($0, at: 5 * Self.extent + 9) }
            try file.close()
        }
        let engine = try comesBack(.compare)
        _ = try bench.kill(engine)
        let third = bench.remounted()
        #expect(third.wait("vm.img") { $0.resumed == .compare || $0.resumed == .intent })
        agrees(third)
    }
}
