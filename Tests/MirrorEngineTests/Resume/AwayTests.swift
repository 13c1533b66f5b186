import Dispatch
import Foundation
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage
import Testing

@testable import MirrorEngine

/// A job that came back, and whose twin is not there yet.
@Suite struct AwayTests {
    let bench: Bench

    init() throws {
        bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
    }

    private func starts(_ more: String = "") {
        let reply = bench.command("mirror vm.img target=\(bench.target)/ intent=off \(more)")
        #expect(reply.errno == nil, "\(reply.text)")
        #expect(bench.engine.isInSync("vm.img"))
    }

    @Test func `while the twin is away nobody reads it, or waits for it`() throws {
        starts("fsync=both copy-mode=write-blocking")
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        faults.hang(.open)
        let engine = try bench.nextWorker(after: bench.engine, faults: faults)
        for line in ["verify vm.img", "complete vm.img"] {
            let reply = bench.command(line, in: engine)
            #expect(reply.errno != nil && reply.text.contains("after a restart"))
        }
        let guest = try bench.guest("vm.img", in: engine)
        let answered = Answered()
        guest.image.flushTwins { answered.isSo.store(true, ordering: .relaxed) }
        engine.jobs.all.first?.queue.sync {}
        let isSo = answered.isSo.load(ordering: .relaxed)
        #expect(isSo)
        faults.endHang(.open)
        #expect(engine.isInSync("vm.img"))
        let isEqual = bench.isEqual("vm.img")
        #expect(isEqual)
    }

    @Test func `a command that needs the twin waits for a job that is just coming back`() throws {
        starts()
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        faults.hang(.open)
        let engine = try bench.nextWorker(after: bench.engine, faults: faults)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(200)) {
            faults.endHang(.open)
        }
        let reply = bench.command("complete vm.img switch=off", in: engine)
        #expect(reply.errno == nil, "\(reply.text)")
        #expect(engine.wait("vm.img") { $0.phase == "completed" })
    }

    private final class Answered: Sendable { let isSo = Atomic<Bool>(false) }
}
