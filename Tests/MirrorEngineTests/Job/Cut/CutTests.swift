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

/// What comes right before and after a cut: `pre-cut`, `post-cut`, `cut=flush`.
@Suite struct CutTests {
    /// A program that notes how it was called, and ends with `code` after `seconds`.
    private func program(
        _ bench: Bench, _ name: String, code: Int = 0, seconds: Int = 0
    ) throws -> FilePath {
        let path = bench.root.appending(name)
        let text =
            "#!/bin/sh\necho \"$@\" >>\(bench.root)/calls\nsleep \(seconds)\nexit \(code)\n"
        try text.write(toFile: path.string, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: path.string)
        return path
    }

    private func calls(_ bench: Bench) -> [String] {
        String(decoding: bench.bytes(bench.root.appending("calls")), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    @Test func `pre-cut comes before the cut and post-cut after it, with the job and its images`()
        throws
    {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 100_000)
        let hook = try program(bench, "hook")
        let options = "pre-cut=\(hook) post-cut=\(hook)"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .ready)
        #expect(calls(bench).isEmpty)
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
        #expect(bench.wait("vm.img") { _ in calls(bench).count == 2 })
        #expect(calls(bench) == ["pre-cut vm.img vm.img", "post-cut vm.img vm.img"])
    }

    @Test(arguments: ["fails", "hangs", "is missing"])
    func `a pre-cut that does not work aborts the cut, not the job`(how: String) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 100_000)
        let bad = try program(
            bench, "bad", code: how == "fails" ? 3 : 0, seconds: how == "hangs" ? 1000 : 0)
        let post = try program(bench, "post")
        let named = how == "is missing" ? bench.root.appending("nothing") : bad
        let timeout = how == "hangs" ? "cut-timeout=200" : ""
        let options = "pre-cut=\(named) post-cut=\(post) \(timeout)"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .ready)
        bench.does("complete vm.img switch=off")
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.error != nil })
        #expect(bench.job("vm.img")?.error?.contains("no cut: pre-cut") == true)
        // It may have frozen the guest before it failed.
        #expect(bench.wait("vm.img") { _ in calls(bench).contains("post-cut vm.img vm.img") })
        let guest = try bench.guest("vm.img")
        guest.write([1, 2, 3], at: 50_000)
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a post-cut that fails is told as an event, and the twin stays good`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 100_000)
        let bad = try program(bench, "bad", code: 9)
        bench.does("mirror vm.img target=\(bench.target)/ post-cut=\(bad) pre-cut=/bin/true")
        bench.becomes("vm.img", .ready)
        bench.does("cancel vm.img")
        #expect(bench.wait("vm.img") { $0.phase == .completed && $0.error == nil })
        #expect(
            bench.wait("vm.img") { _ in
                bench.events.contains { $0.contains("TWINFS_HOOK_FAILED") && $0.contains("code 9") }
            })
    }

    @Test func `cut=flush ends right after a guest's flush`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        let options = "cut=flush cut-wait=600000"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .ready)
        bench.does("cancel vm.img")
        #expect(bench.job("vm.img")?.phase == .completing)
        guest.write([1, 2, 3], at: 5000)
        // Nobody else makes the cut.
        #expect(bench.wait("vm.img") { $0.dirtyBytes == 0 })
        #expect(bench.job("vm.img")?.phase == .completing)
        let ended = DispatchSemaphore(value: 0)
        Thread {
            while bench.job("vm.img")?.phase == .completing {
                try? guest.image.flush(dataOnly: false, through: guest.descriptor)
                usleep(1000)
            }
            ended.signal()
        }.start()
        bench.becomes("vm.img", .completed)
        ended.wait()
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a mount that ends does not wait for the flush that a cut waits for`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        let options = "cut=flush cut-wait=600000"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .ready)
        bench.does("cancel vm.img")
        guest.write([1, 2, 3], at: 5000)
        #expect(bench.wait("vm.img") { $0.phase == .completing && $0.dirtyBytes == 0 })
        // Longer than any hang that this test waits for: it ends only because the job does.
        bench.engine.shutDown(patience: .seconds(30))
        #expect(bench.job("vm.img")?.phase == .completed)
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `cut=flush does not wait for ever`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 100_000)
        bench.does("mirror vm.img target=\(bench.target)/ cut=flush cut-wait=50")
        bench.becomes("vm.img", .ready)
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
    }
}
