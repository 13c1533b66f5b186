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

/// Several images as one job: one cut for all of them.
@Suite struct GroupTests {
    private static let names = ["a.img", "b.img", "c.img"]

    /// A thousand cuts, four at a time, beside a job of one member alone. What a cut must not have
    /// is a write whose predecessor, acknowledged before it was begun, is missing in another twin.
    @Test func `no cut of a group has a write without the one that it depends on`() throws {
        // In memory, so that the cuts are not a test of the disk's flushes.
        let bench = try Bench("/dev/shm")
        for name in Self.names { try bench.makeFile(name, bytes: 64 << 10) }
        let counter = Counter(try Self.names.map { try bench.guest($0) })
        bench.does("mirror b.img target=\(bench.target)/alone.img")
        counter.start()
        let wrong = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 4) { lane in
            for round in 0..<Bench.rounds(250) {
                guard let error = cut(bench, lane, round) else { continue }
                wrong.withLock { $0.append("lane \(lane) round \(round): \(error)") }
                if error.contains("no cut") { return }
            }
        }
        counter.stop()
        let found = wrong.withLock { $0 }
        #expect(found.isEmpty, "\(found.prefix(5))")
        bench.does("complete \(bench.id(mirroring: "alone.img")) switch=off")
        bench.becomes(bench.id(mirroring: "alone.img"), .completed)
        #expect(bench.isEqual("b.img", "alone.img"))
        #expect(counter.rounds > 100)
    }

    /// One job from its start to its end, each round in another way. What is wrong with its twins;
    /// nil is nothing.
    private func cut(_ bench: Bench, _ lane: Int, _ round: Int) -> String? {
        let target = bench.target.appending("lane\(lane)")
        let existing = round % 3 == 0 ? "replace" : "reuse"
        let mode = ["auto", "background", "write-blocking"][round % 3]
        let started = bench.command(
            "mirror \(Self.names.joined(separator: " ")) target=\(target)/ existing=\(existing)"
                + " copy-mode=\(mode) max-pause=60000 buf-size=1M")
        guard started.errno == nil else { return "no cut: \(started.text)" }
        let id = String(started.text.dropFirst(3).prefix { $0 != ":" })
        guard bench.wait(id, until: { $0.phase == .ready }) else { return "no cut: not ready" }
        let verb = round % 2 == 0 ? "cancel \(id)" : "complete \(id) switch=off"
        guard bench.command(verb).errno == nil else { return "no cut: \(verb)" }
        guard bench.wait(id, until: { $0.phase == .completed }) else {
            return
                "no cut: \(bench.job(id)?.phase.rawValue ?? "gone") \(bench.job(id)?.error ?? "")"
        }
        bench.command("dismiss \(id)")
        let counts = Self.names.map { Counter.value(of: target.appending($0)) }
        let (a, b, c) = (counts[0], counts[1], counts[2])
        return a >= b && b >= c && a - c <= 1 ? nil : "\(counts)"
    }

    /// What the test above would see if the members were not cut together.
    @Test func `jobs of one image each do have such a write`() throws {
        let bench = try Bench("/dev/shm")
        for name in Self.names { try bench.makeFile(name, bytes: 64 << 10) }
        let counter = Counter(try Self.names.map { try bench.guest($0) })
        counter.start()
        for name in Self.names {
            let options = "target=\(bench.target)/ max-pause=60000"
            bench.does("mirror \(name) \(options)")
        }
        for name in Self.names {
            bench.becomes(name, .ready)
            bench.does("cancel \(name)")
            bench.becomes(name, .completed)
            let seen = counter.rounds
            while counter.rounds < seen + 3 { usleep(1000) }
        }
        counter.stop()
        let counts = Self.names.map { Counter.value(of: bench.target.appending($0)) }
        #expect(counts[0] < counts[1] && counts[1] < counts[2], "\(counts)")
    }

    @Test func `a group is switched over at one instant`() throws {
        let bench = try Bench()
        for name in Self.names { try bench.makeFile(name, bytes: 64 << 10) }
        let handles = try Self.names.map { try bench.open($0, O_RDWR) }
        let counter = Counter(handles.map(\.guest))
        counter.start()
        let names = Self.names.joined(separator: " ")
        bench.does("mirror \(names) target=\(bench.target)/ max-pause=60000")
        bench.becomes("a.img", .ready)
        bench.does("complete a.img")
        bench.becomes("a.img", .completed, note: "\(bench.job("a.img")?.error ?? "")")
        // The sources are what they were at that instant, too.
        let left = Self.names.map { Counter.value(of: bench.source.appending($0)) }
        #expect(left[0] >= left[1] && left[1] >= left[2] && left[0] - left[2] <= 1, "\(left)")
        let seen = counter.rounds
        while counter.rounds < seen + 3 { usleep(1000) }
        counter.stop()
        for (name, handle) in zip(Self.names, handles) {
            #expect(bench.engine.servingPath(of: handle.image) == bench.target.appending(name))
            #expect(Counter.value(of: bench.target.appending(name)) == counter.rounds)
        }
        #expect(Self.names.map { Counter.value(of: bench.source.appending($0)) } == left)
    }

    @Test func `what is no group is refused, and leaves nothing behind`() throws {
        let bench = try Bench()
        for name in Self.names { try bench.makeFile(name, bytes: 4096) }
        try FileManager.default.linkItem(
            atPath: bench.source.appending("a.img").string,
            toPath: bench.source.appending("linked.img").string)
        let lines = [
            ("mirror a.img b.img target=\(bench.target)/one.img", "name a directory"),
            ("mirror a.img b.img a.img target=\(bench.target)/new/", "named twice"),
            ("mirror a.img linked.img target=\(bench.target)/new/", "name it once"),
            ("mirror a.img none.img target=\(bench.target)/new/", "none.img"),
        ]
        for (line, words) in lines {
            let result = bench.command(line)
            #expect(result.errno != nil && result.text.contains(words), "\(line): \(result.text)")
        }
        #expect(bench.engine.report().jobs.isEmpty)
        #expect(eventually { bench.engine.images.all.isEmpty })
        let left = try FileManager.default.contentsOfDirectory(atPath: bench.target.string)
        #expect(left.isEmpty, "\(left)")
    }
}

extension Bench {
    /// The job whose twin is `name` in the target directory.
    fileprivate func id(mirroring name: String) -> String {
        engine.report().jobs.first { $0.target == target.appending(name).string }?.id ?? "none"
    }
}

/// Writes the same number to one image after the other, each once the one before was acknowledged.
private final class Counter: @unchecked Sendable {
    private let guests: [Guest]
    private let state = Mutex((rounds: UInt64(0), isStopped: false))
    private let done = DispatchSemaphore(value: 0)

    init(_ guests: [Guest]) {
        self.guests = guests
        writeAll(0)
    }

    /// The last number that all images have.
    var rounds: UInt64 { state.withLock { $0.rounds } }

    func start() {
        Thread { [self] in
            while state.withLock({ !$0.isStopped }) {
                let next = rounds + 1
                writeAll(next)
                state.withLock { $0.rounds = next }
            }
            done.signal()
        }.start()
    }

    func stop() {
        state.withLock { $0.isStopped = true }
        done.wait()
    }

    private func writeAll(_ number: UInt64) {
        let bytes = withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) }
        for guest in guests {
            guest.write(bytes, at: 0)
            // In turns as fast as it goes, and with most of the time spent between two dependent
            // writes, which leaves the processor to the jobs.
            if number % 128 < 64 { usleep(150) }
        }
    }

    static func value(of path: FilePath) -> UInt64 {
        let bytes = (try? path.content())?.prefix(8) ?? []
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
