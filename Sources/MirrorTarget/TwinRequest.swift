package import MirrorCore
import MirrorSystem
package import SystemPackage

/// What a job asks of a target that is a file, and how it is done: nothing that was there is lost
/// where it fails.
package struct TwinRequest {
    let place: TargetPlace
    /// The image's file, and its path as the twin's attributes name it.
    let image: FileStatus
    let imagePath: FilePath
    let beginning: TwinBeginning
    /// The image, for a clone.
    let source: FileDescriptor?
    /// The id of what `sync=incremental` starts from.
    var checkpoint: String?
    /// Whether the user says that what is taken over reads as zero.
    let targetIsZero: Bool

    struct Opened {
        let path: FilePath
        let descriptor: FileDescriptor
        let directory: FileDescriptor
        var holdsOldBytes = false
        var replaced: FileDescriptor?
    }

    /// The name under which the twin is written until it was in sync.
    var workingPath: FilePath {
        switch beginning {
        case .delta: place.path.suffixed(".delta")
        case .asserted: place.path
        default: place.path.suffixed(".partial")
        }
    }

    /// - Throws: `Errno` and `CommandError`.
    func open(_ changes: inout TwinChanges) throws -> Opened {
        for missing in place.missingDirectories where try missing.makeDirectory() {
            changes.madeDirectories.append(missing)
        }
        let directory = try FileDescriptor.openBacking(
            place.path.removingLastComponent(), .readOnly, .directory)
        changes.opened.append(directory)
        var opened = try takeOver(directory, &changes) ?? make(directory, &changes)
        if beginning.replaces { opened.replaced = try holdExisting(&changes) }
        try directory.synchronize()
        // A file that is taken over loses its end once the job has begun, if it does.
        if try opened.descriptor.status().size < image.size {
            try opened.descriptor.setSize(image.size)
        }
        opened.descriptor.adopt(owner: image.owner, group: image.group, mode: image.mode)
        return opened
    }
}

// A new file.

extension TwinRequest {
    private func make(
        _ directory: FileDescriptor, _ changes: inout TwinChanges
    ) throws -> Opened {
        if beginning.needsExisting {
            throw CommandError(
                .notFound,
                "target \(shown(place.path)): there is no such file to go on with; name the twin, or copy"
                    + " everything with sync=full")
        }
        try removeLeftOver()
        let file = try FileDescriptor.openBacking(
            workingPath, .readWrite, [.create, .exclusiveCreate])
        changes.opened.append(file)
        changes.madeFile = workingPath
        try file.lockExclusively()
        mark(file)
        if case .cloned = beginning { try clone(to: file) }
        return Opened(path: workingPath, descriptor: file, directory: directory)
    }

    /// Takes away what an earlier, ended job for the same image left; anything else stays and is an
    /// error.
    private func removeLeftOver() throws(Errno) {
        guard let old = try? FileDescriptor.openBacking(workingPath, .readWrite, .noFollow)
        else { return }
        defer { try? old.close() }
        try old.lockExclusively()
        guard isLeftOver(old) else { throw .fileExists }
        try workingPath.removeFile()
    }

    private func isLeftOver(_ file: FileDescriptor) -> Bool {
        file.attribute(TwinAttribute.image) == shown(imagePath)
            && file.attribute(TwinAttribute.state) == TwinWorth.inconsistent.rawValue
    }

    /// The clone that counts is made once tracking starts. This one finds out whether there can be
    /// one, and writes back what the page cache holds of the image, so that the one that counts is
    /// quick.
    private func clone(to file: FileDescriptor) throws {
        guard let source else { return }
        do throws(Errno) {
            try file.clone(source)
        } catch {
            throw CommandError.clone(place.path, error)
        }
    }

    /// The attributes of a twin of this image that is not equal yet.
    private func mark(_ file: FileDescriptor) {
        try? file.setAttribute(TwinAttribute.state, TwinWorth.inconsistent.rawValue)
        try? file.setAttribute(TwinAttribute.image, shown(imagePath))
        try? file.removeAttribute(TwinAttribute.checkpoints)
    }
}

// A file that is there.

extension TwinRequest {
    /// The file that has the name, or what an earlier job made of it; nil where there is none, or
    /// it is not to be taken over.
    private func takeOver(
        _ directory: FileDescriptor, _ changes: inout TwinChanges
    ) throws -> Opened? {
        guard beginning.takesOver else { return nil }
        let isNamed = (try? place.path.status(followingLinks: false)) != nil
        // What an earlier job left half done is no state of the image.
        if beginning == .continuing, !isNamed { return nil }
        let path = isNamed ? place.path : workingPath
        guard let file = try place.openExisting(path) else { return nil }
        changes.opened.append(file)
        if beginning == .continuing {
            try refuseUncut(file)
        } else if isNamed {
            try place.refuseOther(file, than: shown(imagePath))
        } else if !isLeftOver(file) {
            throw Errno.fileExists
        }
        if beginning == .asserted { try refuseUnequal(file) }
        let isZero = targetIsZero ? try refuseNonZero(file) : false
        if path != workingPath {
            try removeLeftOver()
            try directory.rename(path.lastComponent!, to: workingPath.lastComponent!)
            changes.renamed = (workingPath, path)
        }
        changes.annotated = .init(file)
        mark(file)
        // Before a byte of it changes.
        try file.synchronize()
        return Opened(
            path: workingPath, descriptor: file, directory: directory, holdsOldBytes: !isZero)
    }

    /// The old file, locked until the new twin takes its name; nil where there is none.
    private func holdExisting(_ changes: inout TwinChanges) throws -> FileDescriptor? {
        guard let file = try place.openExisting(place.path) else { return nil }
        changes.opened.append(file)
        try place.refuseOther(file, than: shown(imagePath))
        return file
    }

    /// Only a twin that was cut from this image after the checkpoint was made equals the image but
    /// for what the checkpoint has marked. An id is given to one checkpoint of one image.
    private func refuseUncut(_ file: FileDescriptor) throws(CommandError) {
        let ids = (file.attribute(TwinAttribute.checkpoints) ?? "").split(separator: " ").map(
            String.init)
        let isCut = checkpoint.map(ids.contains) ?? false
        if isCut, file.attribute(TwinAttribute.state) == TwinWorth.consistent.rawValue { return }
        let reason =
            isCut
            ? "is not consistent: a job that wrote it did not end"
            : "was not cut from this image while the checkpoint existed"
        throw CommandError(
            .badState,
            "target \(shown(place.path)): \(reason), so it is not known what differs; compare, and copy"
                + " differences, with sync=full existing=reuse, and end that job with complete switch=off"
        )
    }

    private func refuseUnequal(_ file: FileDescriptor) throws {
        let size = try file.status().size
        guard size != image.size else { return }
        throw CommandError(
            .badValue,
            "target \(shown(place.path)): has \(size) bytes and the image \(shown(imagePath)) has"
                + " \(image.size), so it is no equal seed; use sync=full existing=reuse")
    }

    private func refuseNonZero(_ file: FileDescriptor) throws -> Bool {
        try FileStore(file).refuseNonZero(below: image.size, shown(place.path))
        return true
    }
}

// What is to be overwritten or replaced.

extension TargetPlace {
    /// Opens and locks a regular file; nil where there is none.
    package func openExisting(_ path: FilePath) throws -> FileDescriptor? {
        guard let status = try? path.status(followingLinks: false) else { return nil }
        guard status.kind == .regular else {
            throw CommandError(
                .exists,
                "target \(shown(path)): is no regular file, and stays; name another target")
        }
        if path.isOpenForWriting { throw Errno.resourceBusy }
        let file = try FileDescriptor.openBacking(path, .readWrite, .noFollow)
        do {
            try file.lockExclusively()
            // Whoever had it until now may have been switched to it.
            try served?.refuse(path, file)
        } catch {
            try? file.close()
            throw error
        }
        return file
    }

    /// A twin of another image is not overwritten; a file that never was a twin may be, as the user
    /// says so.
    package func refuseOther(
        _ file: FileDescriptor, than image: String?
    ) throws(CommandError) {
        let owner = file.attribute(TwinAttribute.image)
        if owner == nil, file.attribute(TwinAttribute.state) == nil { return }
        guard owner != image else { return }
        throw CommandError(
            .exists,
            "target \(shown(path)): is already the twin of another image"
                + (owner.map { " (\(NameText.shown(Array($0.utf8))))" } ?? "")
                + "; remove it, or name another target")
    }
}

extension TwinStore {
    /// `target-is-zero` is checked before it is trusted.
    func refuseNonZero(below end: UInt64, _ target: String) throws(CommandError) {
        let offset: UInt64?
        do throws(Errno) {
            offset = try firstNonZero(below: end)
        } catch {
            throw .target(named: target, error)
        }
        guard let offset else { return }
        throw CommandError(
            .badValue,
            "target \(target): target-is-zero=on, but the byte at offset \(offset) is not zero; leave"
                + " target-is-zero out")
    }
}
