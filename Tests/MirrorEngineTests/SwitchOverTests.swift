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
            #expect(bench.wait(name) { $0.phase == .ready }, "round \(round) seed \(seed)")
            #expect(bench.command("complete \(name)").errno == nil)
            #expect(
                bench.wait(name) { $0.phase == .completed },
                "\(bench.job(name)?.error ?? "") round \(round) seed \(seed)")
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

    @Test func `without a state directory the guest stays, and the job in ready`() throws {
        let bench = try Bench(keepsState: false)
        try bench.makeFile("vm.img", bytes: 100_000)
        #expect(bench.command("mirror vm.img target=\(bench.target)/").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == .ready })
        #expect(bench.command("complete vm.img").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.error != nil })
        #expect(bench.job("vm.img")?.error?.contains("no switch-over") == true)
        #expect(bench.command("cancel vm.img").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == .completed })
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a switch-over that was not to be leaves no twin that calls itself consistent`()
        throws
    {
        let bench = try Bench(keepsState: false)
        try bench.makeFile("vm.img", bytes: 100_000)
        let guest = try bench.guest("vm.img")
        let twin = bench.target.appending("vm.img")
        #expect(bench.command("mirror vm.img target=\(bench.target)/").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == .ready })
        #expect(bench.command("complete vm.img").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == .ready && $0.error != nil })
        // A crash may come at any time from here on.
        #expect(try bench.mark(twin, "state") == "inconsistent")
        guest.write([1, 2, 3], at: 5000)
        #expect(try bench.mark(twin, "state") == "inconsistent")
        #expect(bench.command("cancel vm.img force=on").errno == nil)
        #expect(bench.wait("vm.img") { $0.phase == .cancelled })
        #expect(try bench.mark(twin, "state") == "inconsistent")
    }
}
