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

/// Write-intent logs of real jobs.
@Suite struct IntentJobTests {
    private static let size = 6 << 22

    private func ready(_ parameters: String = "", state: Bool = true) throws -> Bench {
        let bench = try Bench(keepsState: state, intentPeriod: Bench.shortPeriod)
        try bench.makeFile("a.img", bytes: Self.size)
        let result = bench.command("mirror a.img target=\(bench.target)/ \(parameters)")
        #expect(result.errno == nil)
        #expect(bench.wait("a.img") { $0.ready })
        return bench
    }

    private func log(_ bench: Bench) throws -> IntentLog? {
        bench.engine.jobs.exactly(Array("a.img".utf8))?.members[0].intents
    }

    private func file(_ bench: Bench) throws -> IntentLog? {
        let names = try FileManager.default.contentsOfDirectory(atPath: bench.state.string)
        guard let name = names.first(where: { $0.hasPrefix("intent-") }) else { return nil }
        let id = String(name.dropFirst(7).dropLast(4))
        return IntentLog.open(
            id, in: StateDirectory(path: bench.state), size: UInt64(Self.size))
    }

    @Test
    func
        `a job that is in sync and at rest comes to intend nothing, a write is intended before it is done`()
        throws
    {
        let bench = try ready()
        let log = try #require(try log(bench))
        let isCleared = bench.wait("a.img") { _ in log.setCount.load(ordering: .relaxed) == 0 }
        #expect(isCleared)
        log.queue.sync {}
        #expect(try file(bench)?.intended == [])
        let guest = try bench.guest("a.img")
        let extent = IntentLog.extent
        guest.write([1, 2, 3], at: 2 * extent - 1)
        #expect(try file(bench)?.intended == [ByteRange(extent, 3 * extent)])
        guest.truncate(to: 5 * extent + 1)
        #expect(
            try file(bench)?.intended
                == [ByteRange(extent, 3 * extent), ByteRange(5 * extent, 6 * extent)])
        guest.allocate([.punchHole, .keepSize], at: 0, count: 4096)
        #expect(
            try file(bench)?.intended
                == [ByteRange(0, 3 * extent), ByteRange(5 * extent, 6 * extent)])
    }

    @Test func `a forwarded write is intended too`() throws {
        let bench = try ready("copy-mode=write-blocking")
        let log = try #require(try log(bench))
        #expect(bench.wait("a.img") { _ in log.setCount.load(ordering: .relaxed) == 0 })
        let guest = try bench.guest("a.img")
        guest.write([1, 2, 3], at: 3 * IntentLog.extent)
        #expect(
            try file(bench)?.intended == [ByteRange(3 * IntentLog.extent, 4 * IntentLog.extent)])
    }

    @Test func `a write-intent log ends with its job`() throws {
        let bench = try ready()
        #expect(try file(bench) != nil)
        bench.command("cancel a.img")
        bench.becomes("a.img", .completed)
        for _ in 0..<1000 where try file(bench) != nil { usleep(10_000) }
        #expect(try file(bench) == nil)
    }

    @Test func `no write-intent log is kept with intent=off, or without a state directory`() throws
    {
        #expect(try log(ready("intent=off")) == nil)
        #expect(try log(ready(state: false)) == nil)
    }

    @Test
    func `a log that cannot be kept is said to be void by source and twin, and the guest goes on`()
        throws
    {
        let bench = try ready()
        let log = try #require(try log(bench))
        log.becomeVoid(.ioError)
        let guest = try bench.guest("a.img")
        guest.write([9, 9, 9], at: 0)
        let twin = try FileDescriptor.openBacking(bench.target.appending("a.img"), .readOnly)
        defer { try? twin.close() }
        for _ in 0..<1000
        where !VoidLabel.isOn(twin, log.id) || !VoidLabel.isOn(guest.descriptor, log.id) {
            usleep(10_000)
        }
        #expect(VoidLabel.isOn(twin, log.id))
        #expect(VoidLabel.isOn(guest.descriptor, log.id))
        #expect(bench.engine.report().warnings.contains { $0.contains("write-intent") })
        bench.command("cancel a.img")
        bench.becomes("a.img", .completed)
        #expect(bench.isEqual("a.img"))
        // It is said until nobody can believe the log.
        for _ in 0..<1000 where VoidLabel.isOn(guest.descriptor, log.id) { usleep(10_000) }
        #expect(!VoidLabel.isOn(guest.descriptor, log.id) && !VoidLabel.isOn(twin, log.id))
    }
}
