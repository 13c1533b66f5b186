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

@Suite struct VerifyTests {
    let bench: Bench
    let size: UInt64 = 4 << 20

    init() throws {
        bench = try Bench()
        try bench.makeFile("vm.img", bytes: Int(size))
    }

    /// A job in ready with nothing to copy.
    private func mirror(_ options: String = "") {
        bench.does("mirror vm.img target=\(bench.target)/ \(options)")
        #expect(bench.wait("vm.img") { $0.targetState == .synced || $0.ready })
    }

    private func verify(_ options: String = "") throws -> JobReport {
        let reply = bench.command("verify vm.img \(options)")
        #expect(reply.text.hasPrefix("ok vm.img: verifying"))
        #expect(bench.wait("vm.img") { !$0.verifying })
        return try #require(bench.job("vm.img"))
    }

    /// Changes bytes of the twin behind everybody's back.
    private func corrupt(_ offsets: [UInt64], by count: Int = 1) throws {
        let twin = try FileDescriptor.openBacking(bench.target.appending("vm.img"), .readWrite)
        defer { try? twin.close() }
        for offset in offsets {
            let old = twin.bytes(at: offset, count: count)
            try old.map { ~$0 }.withUnsafeBytes { try twin.writeFully($0, at: offset) }
        }
    }

    @Test func `an equal twin is found equal, and its size too`() throws {
        mirror()
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.job("vm.img")?.verifiedBytes == nil)
        let job = try verify()
        #expect(job.verifiedBytes == Int(size))
        #expect(job.mismatchedBytes == 0)
        #expect(job.repairedBytes == 0)
        #expect(job.unverifiedBytes == 0)
        #expect(job.verifyError == nil)
        #expect(job.targetState == .synced)
        // The status can be seen a moment before its event is written.
        let isTold = bench.eventually {
            bench.events.contains { $0.contains("TWINFS_VERIFY_COMPLETED") }
        }
        #expect(isTold)
        let event = bench.events.last { $0.contains("TWINFS_VERIFY_COMPLETED") }
        #expect(event?.contains("\"verified-bytes\":4194304") == true)
        #expect(event?.contains("\"mismatched-bytes\":0") == true)
    }

    @Test func `a verification counts what differs by granules, and the twin is not called synced`()
        throws
    {
        mirror()
        try corrupt([5, 4095, 4096, 70_000, size - 1])
        let job = try verify()
        #expect(job.mismatchedBytes == 4 * 4096)
        #expect(job.repairedBytes == 0)
        #expect(job.targetState == .inconsistent)
        #expect(job.offset < job.len)
        #expect(StatusText.render(bench.engine.report()).contains("! verified: 4.0 MiB compared"))
        // It is not repaired by itself, so it is found again.
        #expect(try verify().mismatchedBytes == 4 * 4096)
        #expect(!bench.isEqual("vm.img"))
    }

    @Test(arguments: ["4K", "512", "64K", "8M"])
    func `repair copies again what differs`(granularity: String) throws {
        mirror("granularity=\(granularity)")
        try corrupt([1, 3_000_000], by: 10_000)
        let job = try verify("repair=on")
        #expect((job.mismatchedBytes ?? 0) >= 20_000)
        #expect(job.repairedBytes == job.mismatchedBytes)
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
        #expect(try verify().mismatchedBytes == 0)
    }

    @Test(arguments: [-5000, 5000])
    func `a twin of another size is found and repaired`(change: Int) throws {
        let guest = try bench.guest("vm.img")
        // Zeroes at the end: they read the same where the file ends early.
        guest.write([UInt8](repeating: 0, count: 8192), at: size - 8192)
        mirror()
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        let twin = try FileDescriptor.openBacking(bench.target.appending("vm.img"), .readWrite)
        try twin.setSize(UInt64(Int(size) + change))
        try twin.close()
        let job = try verify("repair=on")
        #expect(job.mismatchedBytes == 5000)
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `a job does not end with what is known to differ`() throws {
        mirror()
        try corrupt([100_000])
        #expect(try verify().mismatchedBytes == 4096)
        bench.does("complete vm.img switch=off")
        bench.becomes("vm.img", .completed)
        #expect(bench.isEqual("vm.img"))
        #expect(bench.job("vm.img")?.targetState == .consistent)
    }

    @Test(arguments: ["copy-mode=background", "copy-mode=write-blocking"])
    func `a verification finds no difference in what a writer that never stops has written`(
        mode: String
    ) throws {
        let guest = try bench.guest("vm.img")
        let seed = UInt64.random(in: 0...UInt64.max)
        let writer = Writer(guest: guest, seed: seed, size: size)
        mirror("\(mode) max-pause=60000")
        writer.start()
        for round in 0..<Bench.rounds(60) {
            let job = try verify()
            #expect(job.mismatchedBytes == 0, "round \(round), seed \(seed)")
            #expect(job.verifyError == nil)
        }
        writer.stop()
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"), "seed \(seed)")
    }

    @Test(arguments: ["copy-mode=background", "copy-mode=write-blocking"])
    func `differences are found beside a writer that grows and cuts the image`(
        mode: String
    ) throws {
        let guest = try bench.guest("vm.img")
        mirror("\(mode) max-pause=60000")
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        // Nobody writes below 1 MiB.
        try corrupt([50_000, 900_000])
        let stop = NSLock()
        nonisolated(unsafe) var isOver = false
        let done = DispatchSemaphore(value: 0)
        Thread { [size] in
            var random = SplitMix(seed: 7)
            while stop.withLock({ !isOver }) {
                let offset = (1 << 20) + random.next(below: size)
                switch random.next(below: 4) {
                case 0: guest.truncate(to: offset)
                default: guest.write([UInt8](repeating: 9, count: 5000), at: offset)
                }
            }
            done.signal()
        }.start()
        for _ in 0..<20 { #expect(try verify().mismatchedBytes == 2 * 4096) }
        #expect(try verify("repair=on").repairedBytes == 2 * 4096)
        stop.withLock { isOver = true }
        done.wait()
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        #expect(bench.isEqual("vm.img"))
    }

    @Test func `verify is for a ready job, and one at a time`() throws {
        bench.does("mirror vm.img target=\(bench.target)/ speed=1M")
        #expect(bench.command("verify vm.img").errno == .resourceBusy)
        bench.does("set vm.img speed=0")
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        bench.does("set vm.img speed=64K")
        bench.does("verify vm.img")
        #expect(bench.command("verify vm.img").text.contains("being verified already"))
        #expect(bench.job("vm.img")?.verifying == true)
        // The pace of a verification can be changed while it runs.
        bench.does("set vm.img speed=0")
        #expect(bench.wait("vm.img") { !$0.verifying })
        #expect(bench.job("vm.img")?.verifiedBytes == Int(size))
        bench.does("pause vm.img")
        #expect(bench.command("verify vm.img").errno == .resourceBusy)
    }

    @Test(arguments: ["cancel vm.img force=on", "complete vm.img switch=off", "pause vm.img"])
    func `whatever ends the job ends its verification`(command: String) throws {
        mirror()
        bench.does("set vm.img speed=64K")
        bench.does("verify vm.img")
        bench.does(command)
        #expect(bench.wait("vm.img") { !$0.verifying })
        let job = try #require(bench.job("vm.img"))
        #expect(job.verifyError != nil)
        #expect((job.verifiedBytes ?? 0) < Int(size))
        if command != "pause vm.img" {
            #expect(bench.wait("vm.img") { [.completed, .cancelled].contains($0.phase) })
            #expect(bench.wait("vm.img") { _ in descriptors(below: bench.target) == 0 })
        }
    }

    @Test func `a twin that cannot be read ends the verification, and not the job`() throws {
        let plan = FaultPlan(error: .ioError, first: 1, isLasting: true)
        plan.mend()
        let bench = try Bench(faults: plan)
        try bench.makeFile("vm.img", bytes: 1 << 20)
        bench.does("mirror vm.img target=\(bench.target)/")
        #expect(bench.wait("vm.img") { $0.targetState == .synced })
        plan.relapse()
        bench.does("verify vm.img")
        #expect(bench.wait("vm.img") { !$0.verifying })
        #expect(bench.job("vm.img")?.verifyError?.contains("reading the twin") == true)
        #expect(bench.job("vm.img")?.phase == .ready)
    }
}
