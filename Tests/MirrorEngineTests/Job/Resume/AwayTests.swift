import Dispatch
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

    @Test func `a twin that is away is read by nobody, and nobody waits for it`() throws {
        starts("fsync=both copy-mode=write-blocking")
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        faults.hang(.flush)
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
        faults.endHang(.flush)
        #expect(engine.isInSync("vm.img"))
        let isEqual = bench.isEqual("vm.img")
        #expect(isEqual)
    }

    @Test func `a command that needs the twin waits for a job that is just coming back`() throws {
        starts()
        let faults = FaultPlan(error: .ioError, first: .max, isLasting: true)
        faults.hang(.flush)
        let engine = try bench.nextWorker(after: bench.engine, faults: faults)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(200)) {
            faults.endHang(.flush)
        }
        let reply = bench.command("complete vm.img switch=off", in: engine)
        #expect(reply.errno == nil, "\(reply.text)")
        engine.becomes("vm.img", .completed)
    }

    /// Between the first answer of a worker that has taken over and its last preparations.
    @Test func `a restart that is asked for too early waits until it is known how`() throws {
        let engine = bench.remounted(keeper: KeptKeeper())
        let restarts = Atomic<Int>(0)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(200)) {
            engine.setRestart { restarts.add(1, ordering: .relaxed) }
        }
        let reply = bench.command("restart", in: engine)
        #expect(reply.errno == nil, "\(reply.text)")
        #expect(eventually { restarts.load(ordering: .relaxed) == 1 })
        engine.refuseRestart("not here")
        let refused = bench.command("restart", in: engine)
        #expect(refused.errno == .notSupported && refused.text.contains("not here"))
        #expect(bench.command("restart").errno == .notSupported)
    }

    private final class Answered: Sendable { let isSo = Atomic<Bool>(false) }
}

/// A keeper that is a process.
private final class KeptKeeper: Keeper {
    private let local = LocalKeeper()
    var predecessors: Int { 1 }
    var process: Int32? { 1 }
    var inheritedNames: [String] { [] }
    func keep(_ descriptor: FileDescriptor, as name: String) { local.keep(descriptor, as: name) }
    func drop(_ name: String) { local.drop(name) }
    func inherited(_ name: String) -> FileDescriptor? { nil }
}
