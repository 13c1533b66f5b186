import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

// On the job's queue: what is kept of the job for a restart (docs/state.md).

extension Job {
    /// Longest that the answer to a command waits for the state directory.
    private static let patience = DispatchTimeInterval.seconds(5)

    /// Whether the job comes back after a restart.
    var isKept: Bool { services.records.directory != nil }

    /// Keeps the job as it is now, off this queue; nothing is done where nothing has changed.
    func keep() {
        guard isKept, suspension == nil, !machine.isOver else { return }
        let record = record()
        let bytes = record.bytes
        if bytes == keptRecord { return }
        keptRecord = bytes
        services.records.save(record)
    }

    /// On the clerk: the job as it is now, durable when this returns true.
    func keepNow() -> Bool {
        if !isKept { return true }
        let record = queue.sync { suspension ?? self.record() }
        return services.records.saveNow(record)
    }

    /// The same, and calls `done` on this queue when it is durable, or when it has taken too long.
    func keep(then done: @escaping @Sendable () -> Void) {
        guard isKept else { return done() }
        let record = suspension ?? record()
        keptRecord = record.bytes
        let once = FirstCall(done)
        services.records.save(record) { [queue] in queue.async { once.run() } }
        queue.asyncAfter(deadline: .now() + Self.patience) { once.run() }
    }

    /// The job as it is now.
    func record() -> JobRecord {
        var record = JobRecord(
            uuid: uuid, generation: generation, next: nextGeneration, id: NameText.shown(id),
            created: created, parameters: JobRecord.texts(settings),
            members: members.map(kept), phase: machine.phase)
        (record.wasReady, record.paused) = (machine.wasReady, machine.isPaused)
        record.ending = machine.ending == .now ? nil : machine.ending
        record.frozen = isFrozen
        record.verify = keptVerification
        (record.total, record.copied, record.zeroes) = (counts.total, counts.copied, counts.zeroes)
        if machine.isOver { record.ended = newReport() }
        return record
    }

    private func kept(_ member: Member) -> JobRecord.Member {
        var kept = member.kept
        (kept.image, kept.length) = (shown(member.image.path), member.knownLength)
        if member.firstPass == .everything { kept.firstPass = .everything }
        kept.lostFlush = member.hasLostFlush ? true : nil
        return kept
    }

    /// What a job that comes back has not judged yet stays as it was.
    private var keptVerification: VerifyState? {
        if machine.isResuming { return past?.record.verify }
        if hasFindings.load(ordering: .acquiring) { return .found }
        return underWay.has(.verify) ? .running : nil
    }
}

extension JobRecord.Member {
    /// What a member that begins has to keep. Asks the target; not on a job's queue.
    init(_ twin: Twin, _ opened: OpenedImage) {
        let (descriptor, path) = (twin.descriptor, twin.place.path)
        let file = descriptor.flatMap { try? $0.status() }
        (image, length) = (shown(opened.path), opened.status.size)
        let identity = opened.status.identity
        (inode, device) = (identity.inode, identity.device)
        var names = (path, twin.workingPath)
        if case .device = twin.place.kind {
            let name = DeviceName.lasting(path)
            names = (name, name)
            disk = descriptor.map { DiskNumber(of: $0) }
        } else {
            disk = nil
        }
        (target, working) = (shown(names.0), shown(names.1))
        (firstPass, lostFlush) = (twin.firstPass, nil)
        switch twin.place.kind {
        case .file:
            (kind, self.twin, capacity) = (twin.isHome ? .home : .file, file?.identity.inode, nil)
        case .device(let size): (kind, self.twin, capacity) = (.device, nil, size)
        case .export: (kind, self.twin, capacity) = (.export, nil, nil)
        }
    }
}
