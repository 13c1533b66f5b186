package import MirrorCore
package import MirrorSystem
package import SystemPackage

/// Where a twin is to be written, found out and checked before anything is touched.
package struct TargetPlace {
    package enum Kind {
        case file
        case device(size: UInt64)
        /// What an NBD server exports, by its URI.
        case export(uri: String)
    }

    package let kind: Kind
    /// The twin's path once it has its name: without links in its directory, absolute.
    package let path: FilePath
    /// Directories that must be made first, outermost first.
    let missingDirectories: [FilePath]
    /// Asked once more when the target is locked; nil where no switched image can live there.
    package let served: (any TargetGuard)?

    /// What a target is checked against.
    package struct Surroundings {
        /// The source directory and its path.
        package let source: FileDescriptor
        package let sourcePath: FilePath
        package let mountpoint: FilePath
        /// The image's own file, its path relative to the source, and how many bytes it has.
        package let image: FileStatus
        package let relativePath: FilePath
        /// What it refuses, because images are served from it.
        package let served: any TargetGuard

        package init(
            source: FileDescriptor, sourcePath: FilePath, mountpoint: FilePath, image: FileStatus,
            relativePath: FilePath, served: any TargetGuard
        ) {
            (self.source, self.sourcePath, self.mountpoint) = (source, sourcePath, mountpoint)
            (self.image, self.relativePath, self.served) = (image, relativePath, served)
        }
    }

    private init(
        _ target: FilePath, isDirectory: Bool, _ surroundings: Surroundings,
        _ beginning: TwinBeginning
    ) throws(CommandError) {
        guard target.isAbsolute else {
            throw CommandError(.badValue, "target=\(shown(target)): must be an absolute path")
        }
        let status = try? target.status()
        if let status, status.kind == .blockDevice {
            self = try Self.device(target, surroundings)
            return
        }
        let isDirectory = isDirectory || status?.kind == .directory
        if let status, !isDirectory, status.kind != .regular {
            throw CommandError(
                .badValue, "target \(shown(target)): neither a file, a directory nor a block device"
            )
        }
        if isDirectory {
            try Self.refuseSourceInside(target, surroundings)
            self = try Self.file(
                target.pushing(surroundings.relativePath), mayMakeParents: target, surroundings,
                beginning)
        } else {
            self = try Self.file(target, mayMakeParents: nil, surroundings, beginning)
        }
    }

    /// - Parameter target: an absolute path, or an NBD export's URI. One that ends in `/` is a
    ///   directory, which is made where it is missing; a `FilePath` does not keep that.
    /// - Throws: what is wrong with the place, with the way out.
    package init(
        named target: [UInt8], _ surroundings: Surroundings, _ beginning: TwinBeginning
    ) throws(CommandError) {
        if let export = Self(uri: target) {
            self = export
        } else {
            try self.init(
                FilePath(bytes: target), isDirectory: Self.namesDirectory(target), surroundings,
                beginning)
        }
    }

    package static func namesDirectory(_ target: [UInt8]) -> Bool {
        target.last == UInt8(ascii: "/")
    }

    /// The export that `target` names by a URI; nil where it is a path.
    package init?(uri target: [UInt8]) {
        guard JobParameters.isURI(target) else { return nil }
        let text = String(decoding: target, as: UTF8.self)
        self.init(kind: .export(uri: text), path: FilePath(bytes: target), missingDirectories: [])
    }

    /// The target as it may stand in a message.
    package var name: String {
        if case .export(let uri) = kind { return NameText.shown(Array(uri.utf8)) }
        return shown(path)
    }

    /// Whether its size is fixed.
    package var hasFixedSize: Bool {
        if case .file = kind { false } else { true }
    }

    /// Where a job that comes back had its twin.
    package init(returning kind: Kind, at path: FilePath, served: (any TargetGuard)?) {
        self.init(kind: kind, path: path, missingDirectories: [], served: served)
    }

    /// An image's own file, which is where it is.
    package init(home path: FilePath) { self.init(kind: .file, path: path, missingDirectories: []) }

    private init(
        kind: Kind, path: FilePath, missingDirectories: [FilePath],
        served: (any TargetGuard)? = nil
    ) {
        self.kind = kind
        self.path = path
        self.missingDirectories = missingDirectories
        self.served = served
    }

    private static func device(
        _ target: FilePath, _ surroundings: Surroundings
    ) throws(CommandError) -> TargetPlace {
        let path: FilePath
        let size: UInt64
        do throws(Errno) {
            path = try target.resolved()
            let descriptor = try FileDescriptor.openBacking(path, .readOnly)
            defer { try? descriptor.close() }
            size = try descriptor.blockDeviceSize()
        } catch {
            throw .target(target, error)
        }
        try surroundings.served.refuse(path)
        guard size >= surroundings.image.size else {
            throw CommandError(
                .targetTooSmall,
                "target \(shown(target)): the device has \(size) bytes, the image "
                    + "\(shown(surroundings.relativePath)) has \(surroundings.image.size);"
                    + " name a device that is at least as large")
        }
        return TargetPlace(
            kind: .device(size: size), path: path, missingDirectories: [],
            served: surroundings.served)
    }

    private static func file(
        _ path: FilePath, mayMakeParents root: FilePath?, _ surroundings: Surroundings,
        _ beginning: TwinBeginning
    ) throws(CommandError) -> TargetPlace {
        guard let name = path.lastComponent else {
            throw CommandError(.badValue, "target \(shown(path)): names no file")
        }
        var missing: [FilePath] = []
        var parent = path.removingLastComponent()
        while (try? parent.status()) == nil {
            guard let root, parent.starts(with: root), parent.lastComponent != nil else {
                throw CommandError(
                    .notFound,
                    "target \(shown(path)): there is no directory \(shown(parent)); make it first,"
                        + " or name another target")
            }
            missing.insert(parent, at: 0)
            parent.removeLastComponent()
        }
        let existing: FilePath
        do throws(Errno) { existing = try parent.resolved() } catch { throw .target(parent, error) }
        try refuseMount(existing, path, surroundings)
        var place = existing
        for directory in missing { place.append(directory.lastComponent!) }
        missing = missing.indices.map { index in
            missing[...index].reduce(existing) { $0.appending($1.lastComponent!) }
        }
        place.append(name)
        try surroundings.served.refuse(place)
        if missing.isEmpty { try refuseExisting(place, surroundings, beginning) }
        if !beginning.takesOver { try refuseFull(existing, place, surroundings) }
        return TargetPlace(
            kind: .file, path: place, missingDirectories: missing, served: surroundings.served)
    }
}

extension TargetPlace {
    /// The target directory must not hold the source directory: its twins would lie among the
    /// images.
    private static func refuseSourceInside(
        _ target: FilePath, _ surroundings: Surroundings
    ) throws(CommandError) {
        guard let resolved = try? target.resolved() else { return }
        guard surroundings.sourcePath.starts(with: resolved) else { return }
        let isSame = surroundings.sourcePath == resolved
        throw CommandError(
            isSame ? .targetIsSource : .sourceInsideTarget,
            "target \(shown(target)): \(isSame ? "is the source directory" : "the source directory \(shown(surroundings.sourcePath)) lies inside it");"
                + " name a directory outside of the images")
    }

    /// Nothing below the source or the mount: the twin would be an image itself.
    private static func refuseMount(
        _ directory: FilePath, _ target: FilePath, _ surroundings: Surroundings
    ) throws(CommandError) {
        if let name = target.lastComponent,
            let status = try? directory.appending(name).status(),
            status.identity == surroundings.image.identity
        {
            throw CommandError(
                .targetIsSource, "target \(shown(target)): is the image itself; name another file")
        }
        let source = try? surroundings.source.status().identity
        for outer in [surroundings.sourcePath, surroundings.mountpoint]
        where directory.starts(with: outer) {
            throw CommandError(
                .targetInsideMount,
                "target \(shown(target)): lies inside \(shown(outer)), whose images are mirrored;"
                    + " name a directory outside of it")
        }
        var ancestor = directory
        while true {
            if let source, let status = try? ancestor.status(), status.identity == source {
                throw CommandError(
                    .targetInsideMount,
                    "target \(shown(target)): lies inside the source directory; name another directory"
                )
            }
            if !ancestor.removeLastComponent() { return }
        }
    }

    /// The image itself, always; another file unless the job is to replace it or to go on with it,
    /// which `TwinRequest` looks at.
    private static func refuseExisting(
        _ path: FilePath, _ surroundings: Surroundings, _ beginning: TwinBeginning
    ) throws(CommandError) {
        guard let status = try? path.status(followingLinks: false) else { return }
        if status.identity == surroundings.image.identity {
            throw CommandError(
                .targetIsSource, "target \(shown(path)): is the image itself; name another file")
        }
        if beginning.takesOver || beginning.replaces { return }
        throw CommandError(
            .exists,
            "target \(shown(path)): a file of that name exists; remove it, name another target, or say"
                + " existing=replace or existing=reuse")
    }

    /// A directory that cannot be written, or that has less room than the image has data.
    private static func refuseFull(
        _ directory: FilePath, _ target: FilePath, _ surroundings: Surroundings
    ) throws(CommandError) {
        let available: UInt64
        do throws(Errno) {
            guard directory.isWritable else { throw .permissionDenied }
            let descriptor = try FileDescriptor.openBacking(directory, .readOnly, .directory)
            defer { try? descriptor.close() }
            available = try descriptor.availableSpace()
        } catch {
            throw .target(directory, error)
        }
        let needed = min(surroundings.image.allocated, surroundings.image.size)
        if available < needed || available == 0 {
            throw CommandError(
                .noSpace,
                "target \(shown(target)): \(ByteSize.text(Int(available))) are free there, the image has"
                    + " \(ByteSize.text(Int(needed))) of data; make room, or name another target")
        }
    }
}
