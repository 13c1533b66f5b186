import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A worker dies between what a command does and its answer; its successor is given the command
/// again, and knows whether its effect stood before.
@Suite struct RepeatedCommandTests {
    /// A job that had ended before the worker that is given the command.
    @Test func `a dismissal that is repeated is done once`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 100_000)
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.becomes("vm.img", .ready)
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        let line = Array("dismiss vm.img".utf8)
        let second = try bench.nextWorker(after: bench.engine)
        #expect(second.job("vm.img")?.phase == .completed)
        let stoodBefore = second.stands(line)
        #expect(!stoodBefore)
        bench.does("dismiss vm.img", in: second)
        let third = try bench.nextWorker(after: second)
        #expect(third.job("vm.img") == nil)
        let stands = third.stands(line)
        #expect(stands)
    }

    @Test(arguments: ["cancel vm.img", "complete vm.img switch=off"])
    func `an end that came before the restart is the end that was asked for`(line: String) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 100_000)
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.becomes("vm.img", .ready)
        let stoodBefore = bench.engine.stands(Array(line.utf8))
        #expect(!stoodBefore)
        bench.does(line)
        bench.becomes("vm.img", .completed)
        let engine = try bench.nextWorker(after: bench.engine)
        let stands = engine.stands(Array(line.utf8))
        #expect(stands)
    }
}
