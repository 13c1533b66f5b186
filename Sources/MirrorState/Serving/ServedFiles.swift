package import MirrorCore
package import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

/// What no job may write to: the files and devices that switched images live on, and what another
/// image left behind. Nobody needs to have them open, so that no lock tells.
package struct ServedFiles: TargetGuard {
    /// Nil only where nothing is ever switched.
    package let serving: ServedImages?
    /// The image that the job mirrors: its own file, its path in the mount, and that file's path.
    package let image: FileIdentity
    package let imagePath: FilePath
    package let home: FilePath

    package init(serving: ServedImages?, image: FileIdentity, imagePath: FilePath, home: FilePath) {
        (self.serving, self.image, self.imagePath, self.home) = (serving, image, imagePath, home)
    }

    /// By name, and by what the name leads to.
    ///
    /// - Parameter path: without links in its directory; of a device without links at all.
    /// - Throws: which image lives there, and the way out.
    package func refuse(_ path: FilePath) throws(CommandError) {
        let status = try? path.status(followingLinks: false)
        if let record = serving?.record(servedBy: path, status) {
            throw served(path, record.image)
        }
        if status?.kind == .blockDevice { return try refuseUnknown(path) }
        guard status?.kind == .regular else { return }
        let marks: FileLabels
        do throws(Errno) {
            let node = try FileDescriptor.openNode(at: path)
            defer { try? node.close() }
            marks = try FileLabels(of: node)
        } catch {
            throw .target(path, error)
        }
        try refuseMarked(path, marks)
    }

    /// Refuses a file that serves an image, once it is open and locked.
    package func refuse(_ path: FilePath, _ file: FileDescriptor) throws(CommandError) {
        let (status, marks): (FileStatus, FileLabels)
        do throws(Errno) {
            (status, marks) = (try file.status(), try FileLabels(of: file))
        } catch {
            throw .target(path, error)
        }
        if let record = serving?.record(servedBy: path, status) {
            throw served(path, record.image)
        }
        if status.kind == .blockDevice { return try refuseUnknown(path) }
        try refuseMarked(path, marks)
    }
}

extension TargetPlace.Surroundings {
    /// - Parameter serving: which files serve images; nil only where nothing is ever switched.
    package init(
        source: FileDescriptor, sourcePath: FilePath, mountpoint: FilePath, image: FileStatus,
        relativePath: FilePath, serving: ServedImages? = nil
    ) {
        self.init(
            source: source, sourcePath: sourcePath, mountpoint: mountpoint, image: image,
            relativePath: relativePath,
            served: ServedFiles(
                serving: serving, image: image.identity, imagePath: relativePath,
                home: sourcePath.pushing(relativePath)))
    }
}

extension ServedFiles {
    /// Takes the mark off a job's own twin that its switch-over has left there, if the daemon died
    /// between that and the record. No record knows such a mark, and no file of the image says that
    /// it took its place, which would be so if the record had been there and was lost; an image of
    /// which that is so is refused before, this is the second line.
    ///
    /// Done twice it does nothing the second time. Nothing becomes clean by it (R10): what the job
    /// has marked it copies. Where the mark stays, the disk being full, the twin is refused as
    /// before.
    ///
    /// - Parameter file: says that it is the twin of this job, of the life before this one.
    package func forgetUncommitted(_ file: FileDescriptor) {
        guard let serving, serving.state.withLock({ $0.distrust == nil }),
            let mark = try? FileLabels(of: file).serving,
            let id = mark.split(separator: " ").first.map(String.init),
            serving.record(id: id) == nil, let home = try? serving.source.openNodeBeneath(imagePath)
        else { return }
        defer { try? home.close() }
        let former = serving.state.withLock { $0.entries[image]?.backing?.node }
        for node in [home, former].compactMap(\.self) {
            guard let marks = try? FileLabels(ofSource: node), marks.superseded?.id != id
            else { return }
        }
        try? file.removeNodeAttribute(TwinAttribute.serving)
    }

    private func refuseMarked(_ path: FilePath, _ marks: FileLabels) throws(CommandError) {
        if let mark = marks.serving {
            let id = mark.split(separator: " ").first.map(String.init)
            if let record = serving?.record(id: id ?? "") { throw served(path, record.image) }
            throw CommandError(
                .targetBusy,
                "target \(shown(path)): an image of another mount is served from it, or was until it was"
                    + " deleted; name another target, or, where nobody needs it, take its mark away: setfattr -x"
                    + " \(TwinAttribute.serving) \(shown(path))")
        }
        if let mark = marks.superseded, !isOwn(mark, of: marks.image) {
            throw CommandError(
                .exists,
                "target \(shown(path)): was left behind by another image, which \(mark.place) took over; name"
                    + " another target, or, where nobody needs it, take its mark away: setfattr -x"
                    + " \(TwinAttribute.superseded) \(shown(path))")
        }
        if !marks.areKept { try refuseUnknown(path) }
    }

    /// Whether this image left a file behind: by the switch-over that says so, by what took over,
    /// or by the name of the image.
    private func isOwn(_ mark: SupersededLabel, of name: String?) -> Bool {
        if mark.place == shown(home) || name == shown(imagePath) { return true }
        guard let record = serving?.record(of: image) else { return false }
        return mark.id == record.id || mark.id == record.replaces?.id
            || mark.place == record.twin?.path
    }

    /// What carries no mark may serve an image that the records, which cannot be read, would tell
    /// of.
    private func refuseUnknown(_ path: FilePath) throws(CommandError) {
        guard let distrust = serving?.state.withLock({ $0.distrust }) else { return }
        throw CommandError(
            .badState, "target \(shown(path)): an image may be served from it: \(distrust)")
    }

    private func served(_ path: FilePath, _ image: String) -> CommandError {
        let name = image.isEmpty ? "a switched image" : image
        let source = shown(serving?.sourcePath ?? home.removingLastComponent())
        return CommandError(
            .targetBusy,
            "target \(shown(path)): \(name) is served from it, and has its bytes nowhere else; name another"
                + " target, or bring \(name) back to its own file first: mirror it to target=\(source)/"
                + " existing=reuse, then complete")
    }
}

extension ServedImages {
    /// The record of an image that is served from a file, or is to be once that can be reached
    /// again.
    ///
    /// - Parameter status: of what the path leads to; nil where there is nothing.
    fileprivate func record(servedBy path: FilePath, _ status: FileStatus?) -> ServingRecord? {
        let (entries, unplaced) = state.withLock { (Array($0.entries.values), $0.unplaced) }
        if let status, let entry = entries.first(where: { $0.backing?.isFile(status) == true }) {
            return entry.record
        }
        let records = entries.filter { !$0.isDeleted }.map(\.record) + unplaced
        return records.first { $0.twin?.isAt(path) == true }
    }

    fileprivate func record(id: String) -> ServingRecord? {
        state.withLock { state in
            state.entries.values.map(\.record).first { $0.id == id }
                ?? state.unplaced.first { $0.id == id }
        }
    }

    fileprivate func record(of image: FileIdentity) -> ServingRecord? {
        state.withLock { $0.entries[image]?.record }
    }
}

extension ServingRecord.Place {
    /// Of a device any name may be the recorded one.
    fileprivate func isAt(_ path: FilePath) -> Bool {
        if filePath == path { return true }
        return isDevice && (try? filePath.resolved()) == path
    }
}
