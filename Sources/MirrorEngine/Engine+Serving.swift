import Logging
import MirrorCore
package import MirrorImage
import MirrorState
package import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

// Opening images, wherever their bytes are.

extension Engine {
    /// Opens an image for a guest, with its access mode, O_SYNC, O_DSYNC and O_DIRECT, and counts
    /// the handle. The file is the one that serves the image at that moment; a later switch-over
    /// makes the descriptors stand for the twin. Paired with `close`.
    ///
    /// - Parameters:
    ///   - node: the image's own file, O_PATH.
    ///   - path: relative to the source directory.
    ///   - given: the image's own file, opened already (CREATE); used, or closed where another file
    ///     serves the image or the open fails.
    ///   - insists: a guest has it open since before this process; a lock that another process
    ///     holds is then only told in the log.
    /// - Throws: `.resourceBusy` where another process holds a lock on the file; `.ioError` where
    ///   the image's own file is old and its twin is not known or not there.
    package func open(
        _ identity: FileIdentity, _ node: FileDescriptor, at path: FilePath, _ flags: OpenFlags,
        given: FileDescriptor? = nil, insists: Bool = false
    ) throws(Errno) -> (image: Image, path: DataPath) {
        let image = images.image(identity, path: path)
        do throws(Errno) {
            let path = try image.opening.withLock { _ throws(Errno) in
                try open(image, node, path, flags, given, insists)
            }
            return (image, path)
        } catch {
            release(image)
            throw error
        }
    }

    /// Under `image.opening`.
    private func open(
        _ image: Image, _ node: FileDescriptor, _ path: FilePath, _ flags: OpenFlags,
        _ given: FileDescriptor?, _ insists: Bool
    ) throws(Errno) -> DataPath {
        var (opened, direct): (FileDescriptor?, FileDescriptor?) = (given, nil)
        do throws(Errno) {
            let backing = try serving.backing(forOpening: image.identity, node, at: path)
            image.bound(to: backing?.limit ?? .max)
            let file = backing?.node ?? node
            if backing != nil || given == nil {
                try? given?.close()
                opened = nil
                opened = try file.reopened(flags.backing)
            }
            // Also where this file cannot do it: the one that a switch-over brings may. Never an
            // error.
            if flags.isDirect { direct = try? file.reopened(flags, directly: true) }
            image.pagesMayGo.store(opened!.givesPages, ordering: .relaxed)
            let ways = DataPath(buffered: opened!, direct: direct)
            if try !image.opened(ways, flags, file.procPath, insists: insists) {
                log.warning("\(shown(path)): another process has locked its file behind the mount")
            }
            return ways
        } catch {
            try? direct?.close()
            try? opened?.close()
            throw error
        }
    }

    /// Ends what `open` began, before the descriptors are closed by their owner.
    package func close(_ image: Image, _ path: DataPath, _ flags: OpenFlags) {
        image.closed(path, for: flags.writes ? .writing : .reading)
        release(image)
    }

    /// Ends one use of an image.
    func release(_ image: Image) {
        images.release(image)
        serving.released(image.identity)
    }
}

extension Engine {
    /// Opens an image for reading, for a job: the file that serves it now. The caller closes it,
    /// and calls `follow` where it wants to read the twin after a switch-over.
    ///
    /// - Returns: the descriptor, the status of the image's own file (its identity is the image's),
    ///   and the path of the twin that serves it, nil where its own file does.
    func openBacking(
        of path: FilePath
    ) throws(Errno) -> (descriptor: FileDescriptor, own: FileStatus, twin: FilePath?) {
        let own = try source.openBeneath(path, .readOnly, .nonBlocking)
        do throws(Errno) {
            let status = try own.status()
            guard status.kind == .regular,
                let backing = try serving.backing(forOpening: status.identity, own, at: path)
            else { return (own, status, nil) }
            let descriptor = try FileDescriptor.openBacking(
                backing.node.procPath, .readOnly, .nonBlocking)
            try? own.close()
            return (descriptor, status, backing.path)
        } catch {
            try? own.close()
            throw error
        }
    }

    /// The image's own file as a target, to switch back to it: where a twin serves the image, and
    /// `target` names that file (by its path in the source directory or in the mount, or by either
    /// directory). Nil otherwise. Its bytes are old; a job has to overwrite what differs.
    ///
    /// - Returns: the file, open for reading and writing and locked, the caller's to close; and its
    ///   path.
    func home(
        of image: Image, named target: FilePath
    ) throws(CommandError) -> (descriptor: FileDescriptor, path: FilePath)? {
        guard let node = serving.home(of: image.identity) else { return nil }
        let path = image.path
        let wanted = target.lexicallyNormalized()
        let names = [configuration.source, configuration.mountpoint].flatMap { directory in
            [directory, directory.pushing(path)]
        }
        guard names.contains(wanted) else { return nil }
        let place = configuration.source.pushing(path)
        do throws(Errno) {
            let file = try FileDescriptor.openBacking(node.descriptor.procPath, .readWrite)
            do throws(Errno) {
                try file.lockExclusively()
                return (file, place)
            } catch {
                try? file.close()
                throw error
            }
        } catch {
            throw .target(place, error)
        }
    }

    /// Where an image's bytes are: the path of the twin that serves it, nil where its own file
    /// does.
    func servingPath(of image: Image) -> FilePath? { serving.backing(of: image.identity)?.path }
}

extension Engine {
    /// From now on every switch-over makes this descriptor, which reads the image, stand for the
    /// twin, as it does with guests' handles. One that was opened before the last switch-over is
    /// moved at once. `Image.unfollow` ends it.
    func follow(_ image: Image, _ descriptor: FileDescriptor) throws(Errno) {
        try image.opening.withLock { _ throws(Errno) in
            let backing = serving.backing(of: image.identity)
            let wanted = try backing?.node.status().identity ?? image.identity
            if try descriptor.status().identity != wanted {
                let now = try openNow(image, backing)
                now.replace(descriptor)
                try? now.close()
            }
            image.handles.add(DataPath(buffered: descriptor), .reading)
        }
    }

    private func openNow(_ image: Image, _ backing: Backing?) throws(Errno) -> FileDescriptor {
        if let backing { return try backing.node.reopened(OpenFlags.reading.backing) }
        return try source.openBeneath(image.path, .readOnly, .nonBlocking)
    }
}

extension Engine {
    /// Gives images other files: their twins, or their own files again. For all of them at one
    /// instant: a crash before it leaves every image where it was, one after it has moved them all.
    ///
    /// The caller holds the gates of all images, which are idle, and has made every twin equal to
    /// its image and durable. Blocks; runs on a job's clerk. Reads go on meanwhile, opens of these
    /// images wait.
    ///
    /// - Throws: what could not be done; nothing is changed then.
    func switchOver(_ moves: [Move]) throws(CommandError) {
        // One order for all, so that two switch-overs never wait for each other.
        let images = moves.map(\.image).sorted { $0.identity.inode < $1.identity.inode }
        try Self.holdingOpens(of: images[...]) { () throws(CommandError) in
            try serving.switchOver(moves)
        }
    }

    private static func holdingOpens(
        of images: ArraySlice<Image>, _ body: () throws(CommandError) -> Void
    ) throws(CommandError) {
        guard let first = images.first else { return try body() }
        try first.opening.withLock { _ throws(CommandError) in
            try holdingOpens(of: images.dropFirst(), body)
        }
    }
}
