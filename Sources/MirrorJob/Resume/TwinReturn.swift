package import MirrorCore
package import MirrorState
import MirrorSystem
package import MirrorTarget
package import SystemPackage

/// Opens the twin of a job that comes back: in place, under the name that it has, with nothing cut
/// off. What is not the job's twin is not touched. Blocks for as long as the target likes; on the
/// clerk.
package struct TwinReturn: Sendable {
    package let twin: Twin
    package let kept: JobRecord.Member
    package let uuid: String
    /// Those that the twin may say.
    package let generations: [Int]
    package let wasReady: Bool
    /// Whether a file that has the final name gives way at the first publication.
    package let replaces: Bool
    /// Bytes of the image.
    package let size: UInt64
    package let opener: TwinStoreOpener?
    /// Opens and locks the image's own file, where that is the twin.
    package let home: @Sendable () throws(CommandError) -> FileDescriptor

    package init(
        twin: Twin, kept: JobRecord.Member, uuid: String, generations: [Int], wasReady: Bool,
        replaces: Bool, size: UInt64, opener: TwinStoreOpener?,
        home: @escaping @Sendable () throws(CommandError) -> FileDescriptor
    ) {
        (
            self.twin, self.kept, self.uuid, self.generations, self.wasReady, self.replaces,
            self.size, self.opener, self.home
        ) = (twin, kept, uuid, generations, wasReady, replaces, size, opener, home)
    }

    package enum Failure: Error {
        /// The twin is not there, for now.
        case absent(String)
        /// Something else is in its place.
        case refused(String)
        /// The twin says that the job had come to its end.
        case ended(JobMachine.Phase)
    }

    private var place: TargetPlace { twin.place }

    package func open() throws(Failure) -> ReturnedTwin {
        switch kept.kind {
        case .file: return try openFile()
        case .home: return try openHome()
        case .device, .export: return try openStore()
        }
    }

    private func openStore() throws(Failure) -> ReturnedTwin {
        let store: any TwinStore
        do throws(CommandError) { store = try Twin.open(place, size, opener) } catch {
            throw .absent(error.message)
        }
        if let capacity = kept.capacity, store.capacity != capacity {
            store.close()
            throw .refused(
                "target \(place.name): is another device than the one that the job was mirroring to; it had"
                    + " \(capacity) bytes")
        }
        guard kept.kind == .device, let device = store.local else {
            return returned(store, nil, nil, isOwn: true)
        }
        let isSame = kept.disk?.isSame(as: DiskNumber(of: device)) ?? false
        guard isSame || DeviceName.isLasting(place.path) else {
            store.close()
            throw .refused(
                "target \(place.name): may be another disk than the one that the job was mirroring to, as it has"
                    + " no name in /dev/disk/by-id and was connected anew, or the machine was started anew; it"
                    + " is left alone: look at what it is, and start the job anew")
        }
        return returned(store, nil, nil, isOwn: isSame)
    }

    private func openHome() throws(Failure) -> ReturnedTwin {
        let file: FileDescriptor
        do throws(CommandError) { file = try home() } catch { throw .absent(error.message) }
        if let phase = end(file) {
            try? file.close()
            throw .ended(phase)
        }
        let status = try? file.status()
        return returned(
            FileStore(file), TwinFile(home: file, place.path), status, isOwn: isOwn(file, status))
    }

    /// Flushes what the last writer may not have flushed.
    private func returned(
        _ store: any TwinStore, _ file: TwinFile?, _ status: FileStatus?, isOwn: Bool
    ) -> ReturnedTwin {
        let isCut = file?.descriptor.attribute(TwinAttribute.state) == TwinWorth.consistent.rawValue
        let parts = twin.parts(store, file)
        var isFlushed = true
        do throws(Errno) { try parts.store.flush() } catch {
            isFlushed = false
        }
        return ReturnedTwin(
            parts: parts, status: status, isOwn: isOwn, isCut: isCut,
            pastTime: file?.pastTime, isFlushed: isFlushed)
    }
}

// A file: what stands under one of its two names, and says that it is this job's, or is it by its
// number.

extension TwinReturn {
    private func openFile() throws(Failure) -> ReturnedTwin {
        let (final, working) = (place.path, FilePath(shown: kept.working))
        let names = final == working ? [final] : wasReady ? [final, working] : [working, final]
        var foreign: String?
        for name in names {
            guard let file = try openExisting(name) else { continue }
            if let phase = end(file) {
                try? file.close()
                throw .ended(phase)
            }
            if let other = refusal(of: file, name) {
                foreign = foreign ?? other
                try? file.close()
                continue
            }
            return try adopt(file, name, working)
        }
        if let foreign { throw .refused(foreign) }
        throw .absent("the twin \(shown(names[0])) is not there; bring it back, mount its disk")
    }

    /// How the job had ended; nil where it had not.
    private func end(_ file: FileDescriptor) -> JobMachine.Phase? {
        let text = file.attribute(TwinAttribute.job)
        return [.completed, .cancelled, .failed].first { JobStamp.end(uuid, $0) == text }
    }

    private func openExisting(_ path: FilePath) throws(Failure) -> FileDescriptor? {
        do throws(Errno) {
            let status: FileStatus
            do throws(Errno) { status = try path.status(followingLinks: false) } catch {
                if error == .noSuchFileOrDirectory { return nil }
                throw error
            }
            guard status.kind == .regular else { return nil }
            return try FileDescriptor.openBacking(path, .readWrite, .noFollow)
        } catch {
            throw .absent("the twin \(shown(path)) cannot be opened: \(error)")
        }
    }

    /// Why this file is not the job's twin; nil where it is.
    private func refusal(of file: FileDescriptor, _ path: FilePath) -> String? {
        let text = file.attribute(TwinAttribute.job)
        if let text, JobStamp(text)?.uuid == uuid { return nil }
        let isSame = (try? file.status().identity.inode) == kept.twin
        if text == nil, isSame { return nil }
        let reason =
            text == nil
            ? "is another file than the one that this job was writing"
            : "is the twin of another job"
        return
            "target \(shown(path)): \(reason), and is left alone; cancel this job, and start it anew with"
            + " another target, or with existing=reuse to overwrite that file"
    }

    private func adopt(
        _ file: FileDescriptor, _ path: FilePath, _ working: FilePath
    ) throws(Failure) -> ReturnedTwin {
        var opened = [file]
        do {
            try file.lockExclusively()
            if isOwn(file, try file.status()) { place.served?.forgetUncommitted(file) }
            try place.served?.refuse(path, file)
            let directory = try FileDescriptor.openBacking(
                path.removingLastComponent(), .readOnly, .directory)
            opened.append(directory)
            let replaced = path == working ? try holdReplaced(by: file) : nil
            let names = TwinFile(
                returning: file, in: directory, place.path, working, replaced: replaced)
            let status = try file.status()
            return returned(FileStore(file), names, status, isOwn: isOwn(file, status))
        } catch let error as CommandError {
            for descriptor in opened { try? descriptor.close() }
            throw .refused(error.message)
        } catch {
            for descriptor in opened { try? descriptor.close() }
            throw .absent("the twin \(shown(path)) cannot be used: \(error)")
        }
    }

    /// The old file that gives way to a twin that has not been ready yet.
    ///
    /// What has its name now need not be what had it when the job began.
    private func holdReplaced(by twin: FileDescriptor) throws -> FileDescriptor? {
        guard replaces, !wasReady else { return nil }
        guard let file = try place.openExisting(place.path) else { return nil }
        do throws(CommandError) {
            try place.refuseOther(file, than: twin.attribute(TwinAttribute.image) ?? kept.image)
        } catch {
            try? file.close()
            throw error
        }
        return file
    }

    /// Whether nobody but this life of the job has written it, as far as the file can tell.
    private func isOwn(_ file: FileDescriptor, _ status: FileStatus?) -> Bool {
        guard status?.identity.inode == kept.twin else { return false }
        guard let stamp = file.attribute(TwinAttribute.job).flatMap({ JobStamp($0) }) else {
            return (try? FileLabels(of: file))?.areKept == false
        }
        return stamp.uuid == uuid && generations.contains(stamp.generation)
    }
}
