package import Dispatch
import FoundationEssentials
package import Logging
import MirrorCore
import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

/// The records of a mount's jobs in its state directory. A directory that fails or hangs costs no
/// guest anything: the status warns, and the jobs would start anew after a crash.
package final class JobRecords: Sendable {
    /// Nil where nothing is kept.
    package let directory: StateDirectory?
    private let log: Logger
    /// Saves happen here, one after the other: the last one asked for is the last one written.
    private let saving = DispatchQueue(label: "twinfs.jobs", qos: .userInitiated)
    /// Leaf lock.
    private let state = Mutex(State())

    private struct State {
        /// What could not be saved, by the job's uuid.
        var troubles: [String: String] = [:]
        /// The newest record of each job that could not be saved: it is tried again.
        var unsaved: [String: JobRecord] = [:]
        /// Files that cannot be believed.
        var unreadable: [String] = []
    }

    /// Between two attempts to save what could not be saved.
    private let pause: DispatchTimeInterval

    package init(
        directory: StateDirectory?, log: Logger, pause: DispatchTimeInterval = .seconds(5)
    ) {
        (self.directory, self.log, self.pause) = (directory, log, pause)
    }

    /// What is wrong, a line each. Never waits for a disk.
    package var warnings: [String] {
        state.withLock { $0.unreadable + $0.troubles.values.sorted() }
    }

    /// Makes a record durable, then calls `done` on any thread; also where that fails.
    package func save(_ record: JobRecord, then done: @escaping @Sendable () -> Void = {}) {
        saving.async { [self] in
            _ = put(record)
            done()
        }
    }

    /// Saves a record before it returns; says whether the record is durable. Blocks for as long as
    /// the disk likes.
    package func saveNow(_ record: JobRecord) -> Bool { saving.sync { put(record) } }

    private func put(_ record: JobRecord) -> Bool {
        guard let directory else { return false }
        let failure: Errno?
        do throws(Errno) {
            try directory.replace(JobRecord.name(record.uuid), with: record.bytes)
            failure = nil
        } catch {
            failure = error
        }
        note(failure, record)
        retryLater(failure == nil ? nil : record, record.uuid)
        return failure == nil
    }

    /// A job that waits for nobody to change it would else never be kept.
    private func retryLater(_ record: JobRecord?, _ uuid: String) {
        state.withLock { $0.unsaved[uuid] = record }
        if record == nil { return }
        saving.asyncAfter(deadline: .now() + pause) { [weak self] in
            // A later one was saved, or is tried again already.
            guard let self, let record = state.withLock({ $0.unsaved.removeValue(forKey: uuid) })
            else { return }
            _ = put(record)
        }
    }

    private func note(_ failure: Errno?, _ record: JobRecord) {
        let text = failure.map {
            "job \(record.id): what it needs to come back after a crash cannot be kept in"
                + " \(shown(directory?.path ?? "")): \($0); look at that disk"
        }
        let isNew = state.withLock { state in
            defer { state.troubles[record.uuid] = text }
            return state.troubles[record.uuid] != text
        }
        if isNew, let text { log.error("\(text)") }
    }

    /// Forgets a job durably, then calls `done`.
    package func remove(_ uuid: String, then done: @escaping @Sendable () -> Void) {
        saving.async { [self] in
            if let directory { try? directory.remove(JobRecord.name(uuid)) }
            _ = clear(uuid)
            state.withLock { ($0.troubles[uuid], $0.unsaved[uuid]) = (nil, nil) }
            done()
        }
    }

    /// Forgets what would prove what differs; says whether it is gone for good. Blocks.
    package func removeProofs(_ uuid: String) -> Bool { saving.sync { clear(uuid) } }

    private func clear(_ uuid: String) -> Bool {
        guard let directory else { return true }
        do throws(Errno) {
            let proofs =
                try directory.names(from: "intent-\(uuid)-", to: ".bin")
                + directory.names(from: "marks-\(uuid)-", to: ".json")
            for name in proofs { try directory.remove(name) }
            return true
        } catch {
            return false
        }
    }

    /// Returns when everything asked for so far is done.
    package func finishSaving() { saving.sync {} }

    /// Every record that can be believed, oldest first; none where the directory cannot be read, of
    /// which the status warns.
    package func load() -> [JobRecord] {
        guard let directory, let names = names() else { return [] }
        // What a process that died was about to put in place.
        for prefix in [JobRecord.prefix, "marks-", IntentFile.prefix] {
            for draft in (try? directory.names(from: prefix, to: StateDirectory.draft)) ?? [] {
                try? directory.remove(draft)
            }
        }
        var records: [JobRecord] = []
        for name in names {
            do {
                guard let bytes = try directory.read(name) else { continue }
                records.append(try JobRecord(bytes, name: name))
            } catch let error as JobRecord.Unreadable {
                distrust(name, error.reason)
            } catch {
                distrust(name, "\(error)")
            }
        }
        return records.sorted { ($0.created, $0.id, $0.uuid) < ($1.created, $1.id, $1.uuid) }
    }

    /// Tries for a moment: jobs that are not found are lost to this mount.
    private func names() -> [String]? {
        guard let directory else { return [] }
        var last = Errno.ioError
        for attempt in 0..<Self.attempts {
            if attempt > 0 { PlainThread.sleep(.milliseconds(100)) }
            do throws(Errno) {
                return try directory.names(from: JobRecord.prefix, to: ".json")
            } catch {
                last = error
            }
        }
        let text =
            "\(shown(directory.path)): cannot be read (\(last)): jobs of an earlier mount do not come back, and"
            + " their twins stay as they are; look at that disk, and mount again"
        state.withLock { $0.unreadable.append(text) }
        log.error("\(text)")
        return nil
    }

    private static let attempts = 20

    private func distrust(_ name: String, _ reason: String) {
        let path = directory.map { shown($0.path.appending(name)) } ?? name
        let text =
            "\(path): cannot be used, \(reason); the job that it is about does not come back, and its twin"
            + " stays as it is: remove the file, and start the job anew with existing=reuse"
        state.withLock { $0.unreadable.append(text) }
        log.error("\(text)")
    }
}

extension StateDirectory {
    /// Names of files that begin and end so, in order; none where there is no directory.
    package func names(from prefix: String, to suffix: String) throws(Errno) -> [String] {
        let directory: FileDescriptor
        do throws(Errno) {
            directory = try FileDescriptor.openBacking(path, .readOnly, .directory)
        } catch {
            if error == .noSuchFileOrDirectory { return [] }
            throw error
        }
        defer { try? directory.close() }
        return try directory.entryNames().map(\.string).filter {
            $0.hasPrefix(prefix) && $0.hasSuffix(suffix)
        }.sorted()
    }
}
