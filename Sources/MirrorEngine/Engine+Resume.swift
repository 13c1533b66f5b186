import Dispatch
import Logging
import MirrorCore
import MirrorImage
import MirrorJob
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

// The jobs of an earlier worker or mount come back, before this one serves anybody: no write passes
// unmarked.

extension Engine {
    func loadJobs() {
        let all = records.load()
        dropTables(except: all)
        for old in all.filter({ $0.ended != nil }).dropLast(JobRegistry.mostEnded) {
            records.remove(old.uuid) {}
        }
        dropIntents(except: all)
        for record in all {
            if let report = record.ended {
                addEnded(record, report)
            } else {
                comeBack(record)
            }
        }
    }

    private func addEnded(_ record: JobRecord, _ report: JobReport) {
        jobs.add(
            .init(
                uuid: record.uuid, id: record.name, report: report,
                isOfEarlierMount: keeper.predecessors == 0))
    }

    /// Memory of jobs that had no record yet: whoever asked for them was not answered.
    private func dropTables(except records: [JobRecord]) {
        let known = Set(records.filter { $0.ended == nil }.map(\.uuid))
        for name in keeper.inheritedNames where name.hasPrefix("table-") {
            let uuid = String(name.dropFirst(6).prefix { $0 != "-" })
            if !known.contains(uuid) { keeper.drop(name) }
        }
    }

    /// Write-intent logs of jobs that are over.
    private func dropIntents(except records: [JobRecord]) {
        guard let directory = self.records.directory else { return }
        let known = Set(records.filter { $0.ended == nil }.map(\.uuid))
        let names = (try? directory.names(from: IntentFile.prefix, to: ".bin")) ?? []
        for name in names
        where !known.contains(IntentFile.job(of: name)) {
            try? directory.remove(name)
        }
    }

    private func comeBack(_ record: JobRecord) {
        do throws(CommandError) {
            let parts = try JobPlan(returning: record, self)
            if isServed(parts, record) { return end(record, parts) }
            let job = Job(parts, id: record.name, services: services)
            jobs.add(job)
            job.comeBack()
        } catch {
            log.error("job \(record.id) does not come back: \(error.message)")
            // What is in the way for now may be gone at the next mount.
            end(record, .failed, error.message, isFinal: error.code == .unknownImage)
        }
    }

    /// Whether the images run from the job's twins: the restart came after the switch-over was
    /// recorded.
    private func isServed(_ parts: JobPlan, _ record: JobRecord) -> Bool {
        zip(parts.members, record.members).allSatisfy { member, kept in
            let now = servingPath(of: member.image)
            return kept.kind == .home
                ? now == nil && record.ending == .switchOver : now == member.twin.place.path
        }
    }

    /// A switch-over that is recorded is done.
    private func end(_ record: JobRecord, _ parts: JobPlan) {
        for member in parts.members {
            // Off this thread: a target that hangs keeps nobody waiting.
            let path = member.twin.place.path
            DispatchQueue(label: "twinfs.unmark", qos: .utility).async {
                guard let file = try? FileDescriptor.openBacking(path, .readOnly, .nonBlocking)
                else { return }
                TwinFile(home: file, path).removeAnnotations()
                try? file.close()
            }
        }
        let serving = servingPath(of: parts.members[0].image).map(shown) ?? JobReport.ownFile
        for member in parts.members.reversed() { member.undo(self) }
        end(record, .completed, nil, serving: serving)
    }

    /// Nothing is left of a job but what the status says of it.
    private func end(
        _ record: JobRecord, _ phase: JobMachine.Phase, _ error: String?,
        serving: String = JobReport.ownFile,
        isFinal: Bool = true
    ) {
        var report = JobReport(
            id: record.id, images: record.members.map(\.image), target: record.members[0].target)
        (report.phase, report.status, report.error) = (phase, .concluded, error)
        (report.totalBytes, report.copiedBytes) = (record.total, record.copied)
        (report.len, report.offset, report.serving) = (record.copied, record.copied, serving)
        if error == nil { report.targetState = .consistent }
        if let parameters = try? record.asked() {
            report.sync = parameters.sync
            report.granularity = parameters.granularity.bytes
        }
        var ended = record
        ended.ended = report
        addEnded(record, report)
        MemberTables.drop(record.uuid, record.members.count, keeper)
        // Nobody marks what is written from here on, and the record may stay as it is.
        if !records.removeProofs(record.uuid) { markVoid(record) }
        if isFinal { records.save(ended) }
    }
}

extension Engine {
    /// Its logs could not be removed: the images' files say that nothing is to be concluded from
    /// them.
    private func markVoid(_ record: JobRecord) {
        for (index, member) in record.members.enumerated() {
            let path = FilePath(shown: member.image)
            guard let file = try? openBacking(of: path) else { continue }
            let image = images.image(file.own.identity, path: path)
            do throws(Errno) {
                try image.voidLabels.withLock { _ throws(Errno) in
                    try VoidLabel.add("\(record.uuid)-\(index)", to: file.descriptor)
                }
            } catch {
                log.error(
                    "job \(record.id): its write-intent log can neither be removed nor be called void: \(error)"
                )
            }
            release(image)
            try? file.descriptor.close()
        }
    }
}

extension JobPlan {
    /// A job that comes back: its images are opened, its twins are not.
    init(returning record: JobRecord, _ engine: Engine) throws(CommandError) {
        let parameters = try record.asked()
        let life: Resumption.Life = engine.keeper.predecessors > 0 ? .worker : .mount
        var (members, past) = ([MemberPlan](), [Resumption.Member]())
        do throws(CommandError) {
            for (index, kept) in record.members.enumerated() {
                let marks = engine.records.takeMarks(record.uuid, index)
                let opened = try engine.openReturning(kept, life)
                members.append(MemberPlan(returning: opened, kept, parameters, record, engine))
                let member = members[index]
                do throws(Errno) {
                    past.append(
                        .init(
                            source: try opened.source.status(), marks: marks,
                            opening: TwinReturn(member, kept, record, parameters, engine)))
                } catch {
                    throw CommandError(.io, "image \(kept.image): \(error); look at its disk")
                }
            }
        } catch {
            for member in members.reversed() { member.undo(engine) }
            throw error
        }
        self.init(
            returning: members, parameters, Resumption(life: life, record: record, members: past))
    }
}

extension Engine {
    /// The image of a job that comes back: what has its name, or after the death of a worker alone
    /// what has its identity, if it was renamed and that could not be kept any more.
    fileprivate func openReturning(
        _ kept: JobRecord.Member, _ life: Resumption.Life
    ) throws(CommandError) -> OpenedImage {
        let path = FilePath(shown: kept.image)
        let wanted = FileIdentity(device: kept.device, inode: kept.inode)
        let found = try? source.openBeneath(path, .readOnly, .nonBlocking)
        let there = found.flatMap { try? $0.status().identity }
        try? found?.close()
        if there?.inode == kept.inode, life == .mount || there == wanted {
            return try OpenedImage(path, self)
        }
        if life == .worker, let moved = self.path(of: wanted, below: source, FilePath("")) {
            return try OpenedImage(moved, self)
        }
        throw CommandError(
            .unknownImage,
            there == nil
                ? "image \(kept.image): is not there any more; its twin is kept"
                : "image \(kept.image): is another file now than the one that was mirrored; its twin is kept"
        )
    }

    /// Where below a directory a file is.
    private func path(
        of identity: FileIdentity, below directory: FileDescriptor, _ path: FilePath
    ) -> FilePath? {
        for name in (try? directory.entryNames()) ?? [] {
            let child = path.appending(name)
            guard
                let entry = try? directory.openBeneath(
                    FilePath(root: nil, components: name), .readOnly, [.noFollow, .nonBlocking])
            else { continue }
            defer { try? entry.close() }
            guard let status = try? entry.status() else { continue }
            if status.identity == identity { return child }
            if status.kind == .directory, let found = self.path(of: identity, below: entry, child) {
                return found
            }
        }
        return nil
    }
}

extension MemberPlan {
    fileprivate init(
        returning opened: OpenedImage, _ kept: JobRecord.Member, _ parameters: JobParameters,
        _ record: JobRecord, _ engine: Engine
    ) {
        let twin = Twin(
            returning: TargetPlace(kept, opened, engine), named: FilePath(shown: kept.working),
            parameters, kept.firstPass, filter: engine.targetFilter)
        let checkpoint = parameters.checkpoint.flatMap {
            engine.checkpoints.find(opened.image, $0)
        }
        self.init(returning: opened, twin, kept, checkpoint)
    }
}

extension TargetPlace {
    fileprivate init(_ kept: JobRecord.Member, _ opened: OpenedImage, _ engine: Engine) {
        let path = FilePath(shown: kept.target)
        let kind: Kind =
            switch kept.kind {
            case .device: .device(size: kept.capacity ?? 0)
            case .export: .export(uri: String(decoding: path.bytes, as: UTF8.self))
            case .file, .home: .file
            }
        let served = ServedFiles(
            serving: engine.serving, image: opened.status.identity, imagePath: opened.path,
            home: engine.configuration.source.pushing(opened.path))
        self.init(returning: kind, at: path, served: kept.kind == .home ? nil : served)
    }
}

extension TwinReturn {
    fileprivate init(
        _ member: MemberPlan, _ kept: JobRecord.Member, _ record: JobRecord,
        _ parameters: JobParameters, _ engine: Engine
    ) {
        let (image, place) = (member.image, member.twin.place)
        self.init(
            twin: member.twin, kept: kept, uuid: record.uuid,
            generations: [record.generation] + [record.next].compactMap(\.self),
            wasReady: record.wasReady,
            replaces: (try? TwinBeginning(parameters))?.replaces ?? false, size: member.size,
            opener: engine.opener,
            home: { [weak engine] () throws(CommandError) in
                guard let home = try engine?.home(of: image, named: place.path) else {
                    throw CommandError(
                        .badState, "image \(shown(image.path)): its own file serves it already")
                }
                return home.descriptor
            })
    }
}
