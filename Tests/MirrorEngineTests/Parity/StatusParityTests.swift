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

/// QEMU's fields, events and knobs, as a program that knows them looks for them.
@Suite struct StatusParityTests {
    private func fields(_ bench: Bench, _ id: String) throws -> [String: Any] {
        let report = try #require(bench.job(id))
        let json = try JSONSerialization.jsonObject(with: Data(JSON.bytes(report)))
        return try #require(json as? [String: Any])
    }

    // query-block-jobs, query-jobs
    @Test func `the status has the fields of BlockJobInfo and BlockJobInfoMirror`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        #expect(bench.isReady("vm.img", "copy-mode=write-blocking"))
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        let ready = try fields(bench, "vm.img")
        #expect(ready["id"] as? String == "vm.img" && ready["status"] as? String == "ready")
        #expect(ready["len"] as? Int == ready["offset"] as? Int && ready["len"] as? Int == 1 << 20)
        #expect(ready["speed"] as? Int == 0 && ready["io-status"] as? String == "ok")
        #expect(ready["ready"] as? Bool == true && ready["paused"] as? Bool == false)
        #expect(ready["actively-synced"] as? Bool == true && ready["error"] is NSNull)
        bench.does("pause vm.img")
        let paused = try fields(bench, "vm.img")
        #expect(paused["status"] as? String == "standby" && paused["paused"] as? Bool == true)
        #expect(paused["actively-synced"] as? Bool == false)
    }

    @Test func `events have QEMU's names and fields`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        #expect(bench.isReady("vm.img", "speed=512M"))
        bench.does("cancel vm.img")
        #expect(bench.ends("vm.img", .completed))
        #expect(
            bench.statusChanges("vm.img") == ["running", "ready", "waiting", "concluded"])
        for change in bench.data(of: "JOB_STATUS_CHANGE") {
            #expect(Set(change.keys) == ["id", "status"])
        }
        for name in ["BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED"] {
            let data = try #require(bench.data(of: name).first)
            #expect(Set(data.keys) == ["device", "type", "len", "offset", "speed"])
            #expect(data["len"] as? Int == 1 << 20 && data["offset"] as? Int == 1 << 20)
            #expect(data["speed"] as? Int == 512 << 20 && data["type"] as? String == "mirror")
        }
        let stamps = bench.eventObjects.compactMap { $0["timestamp"] as? [String: Int] }
        #expect(stamps.count == bench.events.count)
        #expect(stamps.allSatisfy { Set($0.keys) == ["seconds", "microseconds"] })
    }

    // 041 (test_pause)
    @Test
    func `while a job is paused nothing is copied, and what the guest writes is kept for later`()
        throws
    {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let guest = try bench.guest("vm.img")
        #expect(bench.isReady("vm.img", "copy-mode=background"))
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        bench.does("pause vm.img")
        // Pausing what is paused changes nothing, and is no error.
        bench.does("pause vm.img")
        let before = try #require(bench.job("vm.img"))
        for index in 0..<100 { guest.write([UInt8(index)], at: UInt64(index) * 8192 + 1) }
        let after = try #require(bench.job("vm.img"))
        #expect(after.offset == before.offset && after.copiedBytes == before.copiedBytes)
        #expect(after.dirtyBytes == 100 * 4096 && after.len == after.offset + after.dirtyBytes)
        #expect(!bench.isEqual("vm.img"))
        bench.does("resume vm.img")
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
        #expect(bench.statusChanges("vm.img") == ["running", "ready", "standby", "ready"])
    }

    // 041 (TestSetSpeed)
    @Test func `speed is none by default, what is asked for, and changed while the job runs`()
        throws
    {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        #expect(bench.isReady("vm.img"))
        #expect(bench.job("vm.img")?.speed == 0)
        bench.does("set vm.img speed=8M")
        #expect(bench.job("vm.img")?.speed == 8 << 20)
        #expect(bench.command("set vm.img speed=-1").errno == .invalidArgument)
        #expect(bench.job("vm.img")?.speed == 8 << 20)
        bench.does("cancel vm.img")
        #expect(bench.ends("vm.img", .completed))
        let again = "mirror vm.img target=\(bench.target)/again.img"
        #expect(bench.command("\(again) speed=-1").errno == .invalidArgument)
        #expect(bench.engine.report().jobs.count == 1)
        bench.does("\(again) speed=4M")
        #expect(bench.job("vm.img#2")?.speed == 4 << 20)
        bench.becomes("vm.img#2", .ready)
    }

    // 041 (test_device_not_found, test_image_not_found)
    @Test func `what is not there is refused, and leaves no job`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4096)
        for line in [
            "mirror nonexistent.img target=\(bench.target)/",
            "mirror vm.img target=\(bench.target)/none/deep/vm.img",
            "pause vm.img", "resume vm.img", "cancel vm.img", "complete vm.img", "dismiss vm.img",
            "set vm.img speed=1M",
        ] {
            #expect(bench.command(line).errno == .noSuchFileOrDirectory, "\(line)")
        }
        #expect(bench.engine.report().jobs.isEmpty && bench.events.isEmpty)
        #expect(eventually { bench.engine.images.all.isEmpty })
    }

    // job-complete, job-dismiss: only when there is something to complete, and something to forget
    @Test func `complete is refused before ready, and dismiss before the end`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        let start = "mirror vm.img target=\(bench.target)/ speed=64K"
        bench.does(start)
        for line in ["complete vm.img", "complete vm.img switch=off", "dismiss vm.img"] {
            #expect(bench.command(line).errno == .resourceBusy, "\(line)")
        }
        bench.does("set vm.img speed=0")
        bench.becomes("vm.img", .ready)
        #expect(bench.command("dismiss vm.img").errno == .resourceBusy)
        bench.does("cancel vm.img")
        #expect(bench.ends("vm.img", .completed))
        #expect(bench.command("complete vm.img").errno == .resourceBusy)
        #expect(bench.job("vm.img")?.status == .concluded)
        bench.does("dismiss vm.img")
        #expect(bench.command("dismiss vm.img").errno == .noSuchFileOrDirectory)
    }

    // 235, 041: more jobs than there are lanes for
    @Test func `many jobs at once all become ready`() throws {
        let bench = try Bench()
        let names = (0..<24).map { "vm\($0).img" }
        for name in names {
            try bench.makeFile(name, bytes: 300_000)
            let start = "mirror \(name) target=\(bench.target)/ buf-size=64K"
            bench.does(start)
        }
        for name in names {
            bench.becomes(name, .ready)
            #expect(bench.isEqual(name))
        }
    }
}
