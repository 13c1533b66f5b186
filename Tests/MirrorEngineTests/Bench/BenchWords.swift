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

// Orders and checks in a word: a failure is told with what the mount said, at the line of the test.

extension Bench {
    /// Gives a command, which must be accepted.
    func does(
        _ line: String, in other: Engine? = nil, note: @autoclosure () -> String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let reply = command(line, in: other)
        #expect(
            reply.errno == nil, "\(line): \(reply.text) \(note())", sourceLocation: sourceLocation)
    }

    /// Waits until the job is in a phase, which it must reach within a minute.
    func becomes(
        _ id: String, _ phase: JobMachine.Phase, note: @autoclosure () -> String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        engine.becomes(id, phase, note: note(), sourceLocation: sourceLocation)
    }
}

extension Engine {
    /// Waits until the job is in a phase, which it must reach within a minute.
    func becomes(
        _ id: String, _ phase: JobMachine.Phase, note: @autoclosure () -> String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let isReached = wait(id) { $0.phase == phase }
        let there = job(id)?.phase.rawValue ?? "not there"
        #expect(
            isReached, "\(id) is \(there), not \(phase.rawValue) \(note())",
            sourceLocation: sourceLocation)
    }
}

extension Bench {
    /// The events so far, as a program reads them.
    var eventObjects: [[String: Any]] {
        events.compactMap {
            try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    /// The `data` of the events of one name, in order.
    func data(of event: String) -> [[String: Any]] {
        eventObjects.filter { $0["event"] as? String == event }
            .compactMap { $0["data"] as? [String: Any] }
    }

    /// The names of QEMU's BLOCK_JOB_… events, in order.
    var blockEvents: [String] {
        eventObjects.compactMap { $0["event"] as? String }.filter { $0.hasPrefix("BLOCK_JOB_") }
    }

    /// What JOB_STATUS_CHANGE has told of a job, in order.
    func statusChanges(_ id: String) -> [String] {
        data(of: "JOB_STATUS_CHANGE").filter { $0["id"] as? String == id }
            .compactMap { $0["status"] as? String }
    }

    /// Waits until the job has told its end, and that it ended so.
    func ends(_ id: String, _ phase: JobMachine.Phase) -> Bool {
        wait(id) { $0.phase == phase }
            && eventually { self.statusChanges(id).last == "concluded" }
            && eventually {
                ["BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"].contains(self.blockEvents.last)
            }
    }

    /// Waits for something; false where it has not come within a minute, which only a hang takes.
    func eventually(_ condition: () -> Bool) -> Bool {
        for _ in 0..<60_000 {
            if condition() { return true }
            usleep(1000)
        }
        return false
    }

    func content(_ name: String) -> [UInt8] { bytes(source.appending(name)) }

    /// Starts a job to the bench's target directory and waits for its being ready.
    func isReady(_ name: String, _ options: String = "") -> Bool {
        command("mirror \(name) target=\(target)/ \(options)").errno == nil
            && wait(name) { $0.phase == .ready }
    }

    /// The same to a scripted store.
    func isReadyInStore(_ name: String, _ options: String = "") -> Bool {
        command("mirror \(name) target=nbd://test/store \(options)").errno == nil
            && wait(name) { $0.phase == .ready }
    }
}

/// Lets every read of a job's source fail with EIO.
final class BrokenSource {
    private let source: FileDescriptor
    private let good: FileDescriptor

    init(_ bench: Bench, _ id: String) throws {
        guard let job = bench.engine.jobs.exactly(Array(id.utf8)) else {
            throw Errno.noSuchFileOrDirectory
        }
        source = job.members[0].source
        good = try source.duplicated()
        // Nothing is mapped at the lowest addresses: reading there is an I/O error.
        let bad = try FileDescriptor.openBacking("/proc/self/mem", .readOnly)
        bad.replace(source)
        try bad.close()
    }

    func mend() { good.replace(source) }

    deinit { try? good.close() }
}
