import MirrorCore
import MirrorSystem
import SystemPackage

/// What a job is made of once everything that can be refused has been looked at.
struct JobParts {
    let members: [MemberParts]
    let parameters: JobParameters

    /// Opens images and targets for `paths` (relative to the source directory) and for all that they refer
    /// to. Blocks; runs on a queue of its own. Whatever is refused leaves nothing created.
    init(_ paths: [FilePath], _ parameters: JobParameters, _ engine: Engine) throws(CommandError) {
        self.parameters = parameters
        let all = try Self.withReferences(paths, parameters, engine)
        var members: [MemberParts] = []
        do throws(CommandError) {
            for path in all {
                let member = try MemberParts(path, parameters, isAlone: all.count == 1, engine)
                members.append(member)
                try Self.refuseTwice(members)
            }
        } catch {
            for member in members { member.undo(engine) }
            throw error
        }
        self.members = members
    }

    /// `sync=full` means all that the headers refer to.
    private static func withReferences(
        _ paths: [FilePath], _ parameters: JobParameters, _ engine: Engine
    ) throws(CommandError) -> [FilePath] {
        guard parameters.sync == .full else { return paths }
        var all = paths
        for path in paths {
            for member in try members(of: path, engine) where !all.contains(member) {
                all.append(member)
            }
        }
        return all
    }

    /// Every file that an image needs to open, the image first.
    private static func members(
        of path: FilePath, _ engine: Engine
    ) throws(CommandError) -> [FilePath] {
        let directories = [engine.configuration.source, engine.configuration.mountpoint]
        let source = ImageClosure.Source(
            directories: directories.map(\.bytes), look: { engine.presence(of: $0) },
            read: { path, offset, count in
                guard let file = engine.openForLook(path) else { return nil }
                defer { try? file.close() }
                return file.bytes(at: offset, count: count)
            })
        // What cannot be opened has its own message where it is.
        guard engine.presence(of: path.bytes) == .file else { return [path] }
        return try ImageClosure(of: path.bytes, in: source).members.map { FilePath(bytes: $0.path) }
    }

    private static func refuseTwice(_ members: [MemberParts]) throws(CommandError) {
        guard let last = members.last else { return }
        for other in members.dropLast() {
            if other.image === last.image {
                throw CommandError(
                    .badValue,
                    "image \(shown(last.path)): is the same file as \(shown(other.path)); name it once"
                )
            }
        }
    }
}

/// One image of a job that is about to start.
struct MemberParts {
    let image: Image
    let path: FilePath
    let size: UInt64
    let source: FileDescriptor
    let twin: Twin

    /// - Parameter isAlone: whether the target may name the twin's file itself.
    init(
        _ path: FilePath, _ parameters: JobParameters, isAlone: Bool, _ engine: Engine
    ) throws(CommandError) {
        guard let target = parameters.target ?? engine.configuration.target?.bytes else {
            throw CommandError(.badValue, "mirror: no target is named; write target=/backup/")
        }
        let source = try Self.openImage(path, engine)
        do throws(CommandError) {
            let status = try Self.status(source, path)
            try Self.refuseHuge(status.size, path)
            let image = try Self.takeImage(source, path, engine)
            do throws(CommandError) {
                let place = try TargetPlace(
                    FilePath(bytes: target),
                    .init(
                        source: engine.source, sourcePath: engine.configuration.source,
                        mountpoint: engine.configuration.mountpoint, image: status,
                        relativePath: path), try TwinBeginning(parameters))
                if !isAlone { try Self.refuseFile(FilePath(bytes: target), place, path) }
                twin = try Twin(
                    place, status, named: path, parameters, source: source,
                    targetIsZero: parameters.targetIsZero, faults: engine.faults)
            } catch {
                image.endJob()
                engine.release(image)
                throw error
            }
            (self.image, self.path, self.source, size) = (image, path, source, status.size)
        } catch {
            try? source.close()
            throw error
        }
    }

    /// Gives everything back: another member was refused.
    func undo(_ engine: Engine) {
        twin.discard()
        try? source.close()
        image.endJob()
        engine.release(image)
    }

    private static func takeImage(
        _ source: FileDescriptor, _ path: FilePath, _ engine: Engine
    ) throws(CommandError) -> Image {
        let identity: FileIdentity
        do throws(Errno) { identity = try source.status().identity } catch {
            throw CommandError(.io, "image \(shown(path)): \(error); look at its disk")
        }
        let image = engine.images.image(identity, path: path)
        do throws(CommandError) {
            try image.beginJob(backing: source.procPath)
            return image
        } catch {
            engine.release(image)
            throw error
        }
    }

    private static func openImage(
        _ path: FilePath, _ engine: Engine
    ) throws(CommandError) -> FileDescriptor {
        do throws(Errno) {
            return try engine.source.openBeneath(path, .readOnly, .nonBlocking)
        } catch {
            throw CommandError(
                .unknownImage,
                "image \(shown(path)): \(error); name a file by its path in the mount")
        }
    }

    private static func status(
        _ source: FileDescriptor, _ path: FilePath
    ) throws(CommandError) -> FileStatus {
        guard let status = try? source.status(), status.kind == .regular else {
            throw CommandError(
                .unknownImage, "image \(shown(path)): not a regular file; name an image")
        }
        return status
    }

    private static func refuseHuge(_ size: UInt64, _ path: FilePath) throws(CommandError) {
        guard size > DirtyTable.limit else { return }
        throw CommandError(
            .notSupported,
            "image \(shown(path)): has \(size) bytes; more than 4 PiB (\(DirtyTable.limit)) cannot be tracked"
        )
    }

    /// Several twins need a directory to lie in as their images lie in the source.
    private static func refuseFile(
        _ target: FilePath, _ place: TargetPlace, _ path: FilePath
    ) throws(CommandError) {
        guard place.path.lastComponent == target.lastComponent, !target.string.hasSuffix("/"),
            (try? target.status().kind) != .directory
        else { return }
        throw CommandError(
            .badValue,
            "target \(shown(target)): several files are mirrored (\(shown(path)) is one of them), and their"
                + " twins keep their layout: name a directory, e.g. target=/backup/, or use sync=top"
        )
    }
}

extension Engine {
    fileprivate func openForLook(_ path: [UInt8]) -> FileDescriptor? {
        try? source.openBeneath(FilePath(bytes: path), .readOnly, .nonBlocking)
    }

    fileprivate func presence(of path: [UInt8]) -> ImageClosure.Presence {
        do throws(Errno) {
            let file = try source.openBeneath(FilePath(bytes: path), .readOnly, .nonBlocking)
            defer { try? file.close() }
            return try file.status().kind == .regular ? .file : .unusable("is not a regular file")
        } catch .noSuchFileOrDirectory {
            return .missing
        } catch {
            return .unusable("cannot be opened (\(error))")
        }
    }
}
