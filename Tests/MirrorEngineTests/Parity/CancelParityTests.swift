import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// What QEMU's iotests check of cancelling, pausing and quitting. The number of the iotest stands
/// at each.
@Suite struct CancelParityTests {
    // 218, 041
    @Test(arguments: ["", " force=on"])
    func `cancelled in bulk a job ends cancelled and was never ready`(force: String) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4 << 20)
        let options = "speed=64K buf-size=64K"
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        bench.becomes("vm.img", .bulk)
        bench.does("cancel vm.img\(force)")
        #expect(bench.ends("vm.img", .cancelled))
        #expect(bench.blockEvents == ["BLOCK_JOB_CANCELLED"])
        #expect(bench.statusChanges("vm.img") == ["running", "aborting", "concluded"])
        #expect(bench.command("cancel vm.img").errno == .resourceBusy)
    }

    // 218, 041
    @Test(arguments: [
        ("", JobMachine.Phase.completed, "BLOCK_JOB_COMPLETED"),
        (" force=on", .cancelled, "BLOCK_JOB_CANCELLED"),
    ])
    func `cancelled in ready a job ends completed, by force cancelled`(
        force: String, phase: JobMachine.Phase, event: String
    ) throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        #expect(bench.isReady("vm.img"))
        bench.does("cancel vm.img\(force)")
        #expect(bench.ends("vm.img", phase))
        #expect(bench.blockEvents == ["BLOCK_JOB_READY", event])
        #expect(bench.isEqual("vm.img"))
        #expect(bench.job("vm.img")?.serving == "source")
    }

    // 218
    @Test func `a paused job is cancelled in bulk, and in ready goes on until both agree`() throws {
        let bench = try Bench()
        for name in ["bulk.img", "ready.img", "force.img"] {
            try bench.makeFile(name, bytes: 1 << 20)
        }
        let guest = try bench.guest("ready.img")
        let start = "mirror bulk.img target=\(bench.target)/ speed=64K"
        bench.does(start)
        #expect(bench.isReady("ready.img") && bench.isReady("force.img"))
        for name in ["bulk.img", "ready.img", "force.img"] {
            bench.does("pause \(name)")
        }
        guest.write([1, 2, 3], at: 100_000)
        #expect(bench.job("ready.img")?.status == .standby)
        bench.does("cancel bulk.img")
        bench.does("cancel ready.img")
        bench.does("cancel force.img force=on")
        bench.becomes("bulk.img", .cancelled)
        #expect(bench.wait("ready.img") { $0.phase == .completed && $0.error == nil })
        bench.becomes("force.img", .cancelled)
        #expect(bench.isEqual("ready.img"))
    }

    // QEMU refuses to complete a paused job; here the wish is kept
    @Test func `a paused job that is to complete does so once it is resumed`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        #expect(bench.isReady("vm.img"))
        bench.does("pause vm.img")
        guest.write([4, 5, 6], at: 300_000)
        bench.does("complete vm.img switch=off")
        #expect(bench.job("vm.img")?.status == .standby && !bench.isEqual("vm.img"))
        bench.does("resume vm.img")
        #expect(bench.ends("vm.img", .completed))
        #expect(bench.isEqual("vm.img"))
        let told = ["running", "ready", "standby", "waiting", "concluded"]
        #expect(bench.statusChanges("vm.img") == told)
    }

    // 129, 218: what waits for the limit, or for a target that hangs, does not keep a command
    // waiting.
    @Test func `commands take effect while the copier waits for its limit or for the target`()
        throws
    {
        let store = ScriptedStore(bytes: 1 << 20)
        defer { store.release() }
        let bench = try store.bench()
        try bench.makeFile("slow.img", bytes: 1 << 20)
        try bench.makeFile("hung.img", bytes: 1 << 20)
        let guest = try bench.guest("hung.img")
        bench.does("mirror slow.img target=\(bench.target)/ speed=1")
        store.hang()
        bench.does("mirror hung.img target=nbd://test/store")
        #expect(bench.eventually { store.waiting > 0 })
        guard case .done(3) = guest.write([1, 2, 3], at: 500_000) else {
            Issue.record("the guest waits for the target, or saw an error")
            return
        }
        for name in ["slow.img", "hung.img"] {
            bench.does("pause \(name)")
            #expect(bench.job(name)?.status == .paused && bench.job(name)?.ready == false)
            bench.does("resume \(name)")
            #expect(bench.job(name)?.status == .running)
            bench.does("cancel \(name)")
            bench.becomes(name, .cancelled)
        }
    }

    // 185, 218
    @Test
    func
        `when a mount without state ends, slow and paused jobs end as they are and ready ones completed`()
        throws
    {
        let bench = try Bench(keepsState: false)
        for name in ["slow.img", "paused.img", "ready.img"] {
            try bench.makeFile(name, bytes: 1 << 20)
        }
        let guest = try bench.guest("ready.img")
        for name in ["slow.img", "paused.img"] {
            let start = "mirror \(name) target=\(bench.target)/ speed=1"
            bench.does(start)
        }
        bench.does("pause paused.img")
        #expect(bench.isReady("ready.img"))
        guest.write([7, 8, 9], at: 123_456)
        bench.engine.shutDown(patience: .seconds(60))
        for name in ["slow.img", "paused.img"] {
            #expect(bench.job(name)?.phase == .cancelled)
            #expect(bench.job(name)?.error?.contains("the mount ended") == true)
            #expect((try? bench.target.appending("\(name).partial").status()) != nil)
        }
        #expect(bench.job("ready.img")?.phase == .completed)
        #expect(bench.isEqual("ready.img"))
    }
}

extension CancelParityTests {
    /// A ready job that has something left to copy, and whose target cannot be flushed from now on.
    private func cancelled(_ store: ScriptedStore, _ bench: Bench, times: Int) throws {
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        #expect(bench.isReadyInStore("vm.img", "on-target-error=stop"))
        store.fail(.flush, .ioError, times: times)
        guest.write([UInt8](repeating: 5, count: 65536), at: 0)
        bench.does("cancel vm.img")
        #expect(bench.wait("vm.img") { $0.paused && $0.status == .standby })
        let error = bench.data(of: "BLOCK_JOB_ERROR").last
        #expect(error?["operation"] as? String == "write" && error?["action"] as? String == "stop")
        #expect(bench.job("vm.img")?.ioStatus == .failed && bench.job("vm.img")?.ready == true)
    }

    // mirror-ready-cancel-error
    @Test func `a job that fails on its way to the end stands by, and resume brings it there`()
        throws
    {
        let store = ScriptedStore(bytes: 2 << 20)
        let bench = try store.bench()
        try cancelled(store, bench, times: 1)
        bench.does("resume vm.img")
        #expect(bench.ends("vm.img", .completed))
        let isEqual = store.holds(bench.content("vm.img"))
        #expect(isEqual && bench.job("vm.img")?.targetState == .consistent)
        #expect(bench.blockEvents.last == "BLOCK_JOB_COMPLETED")
    }

    // mirror-ready-cancel-error
    @Test func `a job whose end goes on failing is cancelled by force`() throws {
        let store = ScriptedStore(bytes: 2 << 20)
        let bench = try store.bench()
        try cancelled(store, bench, times: .max)
        bench.does("resume vm.img")
        #expect(bench.wait("vm.img") { $0.errorsTarget > 1 && $0.paused })
        bench.does("cancel vm.img force=on")
        #expect(bench.ends("vm.img", .cancelled))
        #expect(bench.blockEvents.last == "BLOCK_JOB_CANCELLED")
        #expect(bench.job("vm.img")?.targetState == .inconsistent)
    }
}
