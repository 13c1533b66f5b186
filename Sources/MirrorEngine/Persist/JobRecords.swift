import Dispatch
import FoundationEssentials
import Logging
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

/// The records of a mount's jobs in its state directory. A directory that fails or hangs costs no guest
/// anything: the status warns, and the jobs would start anew after a crash.
final class JobRecords: Sendable {
    /// Nil where nothing is kept.
    let directory: StateDirectory?
    private let log: Logger
    /// Saves happen here, one after the other: the last one asked for is the last one written.
    private let saving = DispatchQueue(label: "twinfs.jobs", qos: .userInitiated)
    /// Leaf lock.
    private let state = Mutex(State())

    private struct State {
        /// What could not be saved, by the job's uuid.
        var troubles: [String: String] = [:]
        /// Files that cannot be believed.
        var unreadable: [String] = []
        /// The last one of each job that is not durable; tried again.
        var unsaved: [String: JobRecord] = [:]
        var isWaiting = false
    }

    /// Between two attempts to save what could not be saved.
    private static let pause = DispatchTimeInterval.seconds(2)

    init(directory: StateDirectory?, log: Logger) { (self.directory, self.log) = (directory, log) }

    /// What is wrong, a line each. Never waits for a disk.
    var warnings: [String] {
        state.withLock { $0.unreadable + $0.troubles.values.sorted() }
    }

    /// Makes a record durable, then calls `done` on any thread; also where that fails.
    func save(_ record: JobRecord, then done: @escaping @Sendable () -> Void = {}) {
        saving.async { [self] in
            _ = put(record)
            done()
        }
    }

    /// The same before it returns; says whether it is durable. Blocks for as long as the disk likes.
    func saveNow(_ record: JobRecord) -> Bool { saving.sync { put(record) } }

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
        state.withLock { $0.unsaved[record.uuid] = failure == nil ? nil : record }
        if failure != nil { tryAgainLater() }
        return failure == nil
    }

    /// Nothing else may change in the job that would have it saved again.
    private func tryAgainLater() {
        let isWaiting = state.withLock { state in
            defer { state.isWaiting = true }
            return state.isWaiting
        }
        if isWaiting { return }
        saving.asyncAfter(deadline: .now() + Self.pause) { [weak self] in
            guard let self else { return }
            let unsaved = state.withLock { state in
                state.isWaiting = false
                return Array(state.unsaved.values)
            }
            for record in unsaved { _ = put(record) }
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
    func remove(_ uuid: String, then done: @escaping @Sendable () -> Void) {
        saving.async { [self] in
            if let directory { try? directory.remove(JobRecord.name(uuid)) }
            clear(uuid)
            state.withLock { ($0.troubles[uuid], $0.unsaved[uuid]) = (nil, nil) }
            done()
        }
    }

    /// Forgets what would prove what differs.
    func removeProofs(_ uuid: String) { saving.async { [self] in clear(uuid) } }

    private func clear(_ uuid: String) {
        guard let directory else { return }
        let proofs =
            directory.names(from: "intent-\(uuid)-", to: ".bin")
            + directory.names(from: "marks-\(uuid)-", to: ".json")
        for name in proofs { try? directory.remove(name) }
    }

    /// Returns when everything asked for so far is done.
    func finishSaving() { saving.sync {} }

    /// Every record that can be believed, oldest first.
    func load() -> [JobRecord] {
        guard let directory else { return [] }
        var records: [JobRecord] = []
        for name in directory.names(from: JobRecord.prefix, to: ".json") {
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
    /// Names of files that begin and end so, in order.
    func names(from prefix: String, to suffix: String) -> [String] {
        guard let directory = try? FileDescriptor.openBacking(path, .readOnly, .directory) else {
            return []
        }
        defer { try? directory.close() }
        let names = (try? directory.entryNames()) ?? []
        return names.map(\.string).filter { $0.hasPrefix(prefix) && $0.hasSuffix(suffix) }.sorted()
    }
}
