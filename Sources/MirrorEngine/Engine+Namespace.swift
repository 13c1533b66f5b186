import Dispatch
import Logging
import MirrorCore
import MirrorImage
import MirrorJob
import MirrorState
package import MirrorSystem
import MirrorTarget
package import SystemPackage

// What the mount tells of its namespace, and the jobs that follow from it.

extension Engine {
    /// The mount is usable: starts the jobs that `target=` asks for.
    package func mounted() {
        guard configuration.target != nil else { return }
        DispatchQueue(label: "twinfs.walk", qos: .utility).async { self.startAllWanted() }
    }

    /// Looks at every file; the jobs begin by themselves.
    func startAllWanted() {
        for path in imagePaths(below: source, FilePath("")) where !hasEnded(path) {
            startWanted(path)
        }
    }

    /// A file was created, linked or renamed into place in the mount (`auto=on` may start a job for
    /// it).
    package func created(_ identity: FileIdentity, at path: FilePath) {
        serving.created(identity, at: path)
        if configuration.auto, configuration.target != nil, wants(path) { startWanted(path) }
    }

    /// The last name of a file went away in the mount: its jobs end as `cancelled`, with that
    /// reason.
    package func deleted(_ identity: FileIdentity) {
        serving.deleted(identity)
        serving.released(identity)
        dropCheckpoints(of: identity)
        for job in jobs.all where !job.hasEnded {
            guard job.members.contains(where: { $0.image.identity == identity }) else { continue }
            job.queue.async { job.imageDeleted() }
        }
    }

    /// A name was given to a file or directory in the mount; both are relative to the source. Jobs
    /// follow their image, whose twin keeps its name.
    package func renamed(from old: FilePath, to new: FilePath) {
        images.renamed(from: old, to: new)
        serving.renamed(from: old, to: new)
        checkpoints.renamed(from: old, to: new)
        for job in jobs.all where !job.hasEnded {
            guard job.members.contains(where: { $0.image.path.starts(with: new) }) else { continue }
            job.queue.async { job.keep() }
        }
    }

    /// This worker makes room for its successor: what jobs wanted kept is durable when this
    /// returns.
    package func finishSaving() { records.finishSaving() }

    /// The mount ends, and no image is open. Ready jobs are brought to agreement, so that their
    /// twins are consistent; all of them go on with the next mount (`Farewell+Suspend.swift`), or
    /// end where nothing is kept. Waits for at most `patience` for targets that hang.
    package func shutDown(patience: Duration = .seconds(20)) {
        let group = DispatchGroup()
        for job in jobs.all where !job.hasEnded {
            group.enter()
            job.queue.async { job.shutDown(within: patience) { group.leave() } }
        }
        _ = group.wait(timeout: .now() + .milliseconds(Int(patience / .milliseconds(1))))
        records.finishSaving()
        // Filesystems count time in ticks: a later change must not get the same.
        if !jobs.all.isEmpty { PlainThread.sleep(.milliseconds(20)) }
        saveCheckpoints(patience: patience)
        serving.finishSaving()
    }

    private func startWanted(_ path: FilePath) {
        // One that came back is enough.
        if jobs.all.contains(where: { isWanted($0, path) }) { return }
        // After a switch-over the image is where its twin would be made.
        if let twin = try? openBacking(of: path) {
            try? twin.descriptor.close()
            if let target = configuration.target, twin.twin?.starts(with: target) == true {
                return log.info("\(shown(path)): is served from its twin; no job is started")
            }
        }
        start([path], configuration.defaults) { [self] result in
            if result.errno != nil { log.error("\(shown(path)): no job: \(result.text)") }
        }
    }

    /// Whether a job of the image has ended under an earlier worker of this mount: a new one might
    /// write a twin that its user was told is theirs.
    private func hasEnded(_ path: FilePath) -> Bool {
        jobs.ended.contains {
            !$0.isOfEarlierMount && $0.report.images.contains(shown(path))
        }
    }

    /// Whether a job mirrors an image to where `target=` says.
    private func isWanted(_ job: Job, _ path: FilePath) -> Bool {
        guard !job.hasEnded, job.mirrors(path.bytes) else { return false }
        guard let target = job.asked.target else { return true }
        return configuration.target.map { FilePath(bytes: target) == $0 } ?? false
    }

    /// Whether `target=` means this path: an `include` pattern matches or there are none, no
    /// `exclude` does.
    func wants(_ path: FilePath) -> Bool {
        let isIncluded =
            configuration.include.isEmpty || configuration.include.contains { path.matches($0) }
        return isIncluded && !configuration.exclude.contains { path.matches($0) }
    }

    /// Regular files below a directory that `target=` means, depth first.
    private func imagePaths(below directory: FileDescriptor, _ path: FilePath) -> [FilePath] {
        guard let names = try? directory.entryNames() else { return [] }
        return names.flatMap { name -> [FilePath] in
            let child = path.appending(name)
            guard
                let entry = try? directory.openBeneath(
                    FilePath(root: nil, components: name), .readOnly, [.noFollow, .nonBlocking])
            else { return [] }
            defer { try? entry.close() }
            switch try? entry.status().kind {
            case .directory: return imagePaths(below: entry, child)
            case .regular: return wants(child) ? [child] : []
            default: return []
            }
        }
    }
}
