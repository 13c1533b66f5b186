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

/// A guest that goes on on the twin, by a job from its start to `complete`.
@Suite struct SwitchOverTests {
    @Test func `a guest that never stops is switched there and back`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 2 << 20)
        let handle = try bench.open("vm.img", O_RDWR)
        let guest = handle.guest
        let seed = UInt64.random(in: 0...UInt64.max)
        let writer = Writer(guest: guest, seed: seed, size: 2 << 20)
        writer.start()
        for round in 0..<4 {
            let isBack = round % 2 == 1
            let target =
                isBack
                ? "target=\(bench.source)/ existing=reuse"
                : "target=\(bench.target)/ existing=reuse"
            let name = round == 0 ? "vm.img" : "vm.img#\(round + 1)"
            let started = bench.command("mirror vm.img \(target) max-pause=60000")
            #expect(started.errno == nil, "\(started.text) seed \(seed)")
            bench.becomes(name, .ready, note: "round \(round) seed \(seed)")
            bench.does("complete \(name)")
            bench.becomes(
                name, .completed,
                note: "\(bench.job(name)?.error ?? "") round \(round) seed \(seed)")
            #expect(bench.job(name)?.lastPauseUs != nil)
            let serving = bench.engine.servingPath(of: guest.image)
            #expect(serving == (isBack ? nil : bench.target.appending("vm.img")))
        }
        writer.stop()
        // As booleans: a difference of megabytes takes minutes to show.
        let seen = guest.descriptor.bytes(at: 0, count: 4 << 20)
        let (isSeen, isHome) = (
            seen == writer.model, bench.bytes(bench.source.appending("vm.img")) == writer.model
        )
        #expect(isSeen && isHome, "seed \(seed)")
    }

    @Test func `a guest stays on its image without a state directory, and the job in ready`() throws
    {
        let bench = try Bench(keepsState: false)
        try bench.makeFile("vm.img", bytes: 100_000)
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.becomes("vm.img", .ready)
        bench.does("complete vm.img")
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.error != nil })
        #expect(bench.job("vm.img")?.error?.contains("no switch-over") == true)
        bench.does("cancel vm.img")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a switch-over that was not to be leaves no twin that calls itself consistent`()
        throws
    {
        let bench = try Bench(keepsState: false)
        try bench.makeFile("vm.img", bytes: 100_000)
        let guest = try bench.guest("vm.img")
        let twin = bench.target.appending("vm.img")
        bench.does("mirror vm.img target=\(bench.target)/")
        bench.becomes("vm.img", .ready)
        bench.does("complete vm.img")
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.error != nil })
        // A crash may come at any time from here on.
        #expect(try bench.mark(twin, "state") == "inconsistent")
        guest.write([1, 2, 3], at: 5000)
        #expect(try bench.mark(twin, "state") == "inconsistent")
        bench.does("cancel vm.img force=on")
        bench.becomes("vm.img", .cancelled)
        #expect(try bench.mark(twin, "state") == "inconsistent")
    }
}
