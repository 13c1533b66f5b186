package import MirrorCore
package import MirrorImage
package import MirrorState
package import MirrorSystem
package import MirrorTarget
package import SystemPackage

/// One image of a job that is about to start.
package struct MemberPlan {
    package let image: Image
    package let path: FilePath
    package let size: UInt64
    package let source: FileDescriptor
    package let twin: Twin
    /// What `sync=incremental` starts from.
    package let checkpoint: Checkpoint?
    /// What is kept of it for a restart.
    package let kept: JobRecord.Member

    /// - Parameter isAlone: whether the target may name the twin's file itself.
    package init(
        _ path: FilePath, _ parameters: JobParameters, isAlone: Bool, _ host: any JobHost
    ) throws(CommandError) {
        let opened = try OpenedImage(path, host)
        do throws(CommandError) {
            checkpoint = try host.checkpoint(of: opened.image, parameters)
            twin = try Self.twin(opened, parameters, checkpoint, isAlone: isAlone, host)
        } catch {
            opened.close(host)
            throw error
        }
        (image, self.path, source) = (opened.image, path, opened.source)
        size = opened.status.size
        kept = JobRecord.Member(twin, opened.path, opened.status)
    }

    /// A member of a job that comes back; its twin is opened later.
    package init(
        returning opened: OpenedImage, _ twin: Twin, _ kept: JobRecord.Member,
        _ checkpoint: Checkpoint?
    ) {
        (image, path, source) = (opened.image, opened.path, opened.source)
        (size, self.twin, self.kept, self.checkpoint) = (opened.status.size, twin, kept, checkpoint)
    }

    /// Gives everything back: another member was refused.
    package func undo(_ host: any JobHost) {
        twin.discard()
        image.unfollow(source)
        try? source.close()
        image.endJob()
        host.release(image)
    }

    private static func twin(
        _ opened: OpenedImage, _ parameters: JobParameters, _ checkpoint: Checkpoint?,
        isAlone: Bool, _ host: any JobHost
    ) throws(CommandError) -> Twin {
        guard let target = parameters.target ?? host.defaultTarget?.bytes else {
            throw CommandError(.badValue, "mirror: no target is named; write target=/backup/")
        }
        let named = FilePath(bytes: target)
        let isURI = JobParameters.isURI(target)
        if !isURI, let home = try home(opened, named, parameters, host) { return home }
        let place = try TargetPlace(
            named: target,
            .init(
                source: host.source, sourcePath: host.sourcePath,
                mountpoint: host.mountpoint, image: opened.status,
                relativePath: opened.path, serving: host.serving),
            try TwinBeginning(parameters))
        if !isAlone, !isURI { try refuseFile(target, opened.path) }
        if !isAlone, isURI {
            throw CommandError(
                .badValue,
                "target \(place.name): is one export, and several files are mirrored; mirror each to an export"
                    + " of its own")
        }
        return try Twin(
            place, opened.status, named: opened.path, parameters, source: opened.source,
            checkpoint: checkpoint?.id, targetIsZero: parameters.targetIsZero,
            opener: host.opener, filter: host.targetFilter)
    }

    /// Back to the file that the image had before it was switched to its twin.
    private static func home(
        _ opened: OpenedImage, _ target: FilePath, _ parameters: JobParameters, _ host: any JobHost
    ) throws(CommandError) -> Twin? {
        guard let home = try host.home(of: opened.image, named: target) else { return nil }
        guard parameters.existing == .reuse, parameters.sync == .full || parameters.sync == .top
        else {
            try? home.descriptor.close()
            throw CommandError(
                .exists,
                "target \(shown(home.path)): is the image's own file, which a switch-over left behind; to"
                    + " overwrite what differs in it, add existing=reuse")
        }
        return Twin(
            home: home.descriptor, home.path, firstPass: .compare, parameters,
            filter: host.targetFilter)
    }

    /// Several twins need a directory to lie in as their images lie in the source.
    private static func refuseFile(
        _ target: [UInt8], _ path: FilePath
    ) throws(CommandError) {
        let isDirectory = (try? FilePath(bytes: target).status().kind) == .directory
        if isDirectory || TargetPlace.namesDirectory(target) { return }
        throw CommandError(
            .badValue,
            "target \(NameText.shown(target)): several files are mirrored (\(shown(path)) is one of them), and their"
                + " twins keep their layout: name a directory, e.g. target=/backup/, or use sync=top"
        )
    }
}

/// An image that a job is about to read, counted as having one.
package struct OpenedImage: Sendable {
    package let image: Image
    package let path: FilePath
    package let source: FileDescriptor
    /// Of the image's own file, with the size that the image has.
    package let status: FileStatus

    package init(_ path: FilePath, _ host: any JobHost) throws(CommandError) {
        let (source, own) = try Self.open(path, host)
        do throws(CommandError) {
            guard own.kind == .regular else {
                throw CommandError(
                    .unknownImage, "image \(shown(path)): not a regular file; name an image")
            }
            try Self.refuseHuge(own.size, path)
            let image = host.images.image(own.identity, path: path)
            do throws(CommandError) {
                try Self.begin(image, source, host)
            } catch {
                host.release(image)
                throw error
            }
            (self.image, self.path, self.source, status) = (image, path, source, own)
        } catch {
            try? source.close()
            throw error
        }
    }

    private static func begin(
        _ image: Image, _ source: FileDescriptor, _ host: any JobHost
    ) throws(CommandError) {
        try image.beginJob(backing: source.procPath)
        do throws(Errno) {
            try host.follow(image, source)
        } catch {
            image.endJob()
            throw CommandError(.io, "image \(shown(image.path)): \(error); look at its disk")
        }
    }

    package func close(_ host: any JobHost) {
        image.unfollow(source)
        try? source.close()
        image.endJob()
        host.release(image)
    }

    private static func open(
        _ path: FilePath, _ host: any JobHost
    ) throws(CommandError) -> (FileDescriptor, FileStatus) {
        do throws(Errno) {
            let opened = try host.openBacking(of: path)
            if opened.twin == nil { return (opened.descriptor, opened.own) }
            var own = opened.own
            let backing = try opened.descriptor.status()
            let isDevice = backing.kind == .blockDevice
            let length = host.serving.backing(of: own.identity)?.length
            own.size = isDevice ? length ?? own.size : backing.size
            own.allocated = isDevice ? own.size : backing.allocated
            return (opened.descriptor, own)
        } catch {
            throw CommandError(
                .unknownImage,
                "image \(shown(path)): \(error); name a file by its path in the mount")
        }
    }

    private static func refuseHuge(_ size: UInt64, _ path: FilePath) throws(CommandError) {
        guard size > DirtyTable.limit else { return }
        throw CommandError(
            .notSupported,
            "image \(shown(path)): has \(size) bytes; more than 4 PiB (\(DirtyTable.limit)) cannot be tracked"
        )
    }
}
