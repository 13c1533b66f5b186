import Foundation
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// Holds what a worker had at the instant of its death: the memory is a copy, so that nothing that
/// still runs of the dead one can change it.
final class DeadKeeper: Keeper {
    private let found: [String: FileDescriptor]
    private let held: LocalKeeper
    let predecessors: Int
    var process: Int32? { nil }

    init(copying keeper: any Keeper) throws {
        let source = (keeper as? DeadKeeper)?.held ?? (keeper as! LocalKeeper)
        let last = source.successor()
        var found: [String: FileDescriptor] = [:]
        held = LocalKeeper()
        for name in last.inheritedNames {
            guard let file = last.inherited(name) else { continue }
            defer { try? file.close() }
            let copy = try Self.copied(file)
            held.keep(copy, as: name)
            found[name] = copy
        }
        self.found = found
        predecessors = keeper.predecessors + 1
    }

    deinit { for file in found.values { try? file.close() } }

    func keep(_ descriptor: FileDescriptor, as name: String) { held.keep(descriptor, as: name) }
    func drop(_ name: String) { held.drop(name) }
    func inherited(_ name: String) -> FileDescriptor? {
        found[name].flatMap { try? $0.duplicated() }
    }
    var inheritedNames: [String] { Array(found.keys) }

    /// What is in a memory file, in another one.
    private static func copied(_ file: FileDescriptor) throws -> FileDescriptor {
        let size = try file.status().size
        let memory = try SharedMemory(count: Int(size))
        var offset = try file.nextData(from: 0)
        while let start = offset {
            let end = try file.nextHole(from: start) ?? size
            let part = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[Int(start)..<Int(end)])
            _ = try file.readFully(into: part, at: start)
            offset = try file.nextData(from: end)
        }
        return try memory.descriptor.duplicated()
    }
}

/// Engines that were killed: they must not be taken apart, as they stand still in the middle of
/// something.
private let graveyard = Mutex<[Engine]>([])

extension Bench {
    /// Stops an engine as SIGKILL does: nothing of it goes on, its locks are gone, and what it had
    /// not said is never said. No guest may be writing.
    ///
    /// - Returns: what its successor finds.
    func kill(_ engine: Engine) throws -> DeadKeeper {
        for job in engine.jobs.all { job.queue.sync { job.queue.suspend() } }
        engine.records.finishSaving()
        for log in engine.jobs.all.flatMap(\.members).compactMap(\.intents) {
            log.close()
            log.queue.sync {}
        }
        let keeper = try DeadKeeper(copying: engine.keeper)
        try takeAwayTargets(of: engine)
        for job in engine.jobs.all where !job.hasEnded {
            for member in job.members { member.image.endJob() }
        }
        graveyard.withLock { $0.append(engine) }
        return keeper
    }

    /// Whatever still runs of the engine writes nowhere, and has no lock.
    private func takeAwayTargets(of engine: Engine) throws {
        let nowhere = try FileDescriptor.open("/dev/null", .readWrite)
        defer { try? nowhere.close() }
        for job in engine.jobs.all where !job.hasEnded {
            for member in job.members { member.twin.descriptor.map { nowhere.replace($0) } }
        }
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            let link = try? FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/self/fd/\(name)")
            guard let link, link.hasPrefix(target.string), let number = Int32(name) else {
                continue
            }
            nowhere.replace(FileDescriptor(rawValue: number))
        }
        // A write that had begun is done before its successor begins.
        usleep(20_000)
    }

    /// The worker dies, and the next one begins.
    func nextWorker(
        after engine: Engine, faults: FaultPlan? = nil, opener: TwinStoreOpener? = nil
    ) throws -> Engine {
        try remounted(keeper: kill(engine), faults: faults, opener: opener)
    }
}

extension Engine {
    /// The report of one job, as in `report()`; the others' are not made.
    func job(_ id: String) -> JobReport? {
        jobs.ended.first { $0.report.id == id }?.report
            ?? jobs.all.first { NameText.shown($0.id) == id }?.report()
    }

    /// Waits until the job says so; false where it has not within a minute, which only a hang
    /// takes.
    func wait(_ id: String, until condition: (JobReport) -> Bool) -> Bool {
        for _ in 0..<60_000 {
            if let job = job(id), condition(job) { return true }
            usleep(1000)
        }
        return false
    }

    func isInSync(_ id: String) -> Bool {
        wait(id) { $0.phase == .ready && $0.targetState == .synced }
    }

    var eventWords: [String] {
        String(decoding: events.lines(after: 0).text, as: UTF8.self).split(separator: "\n")
            .compactMap {
                $0.split(separator: "\"").drop { $0 != "event" }.dropFirst(2).first.map(String.init)
            }
    }
}
