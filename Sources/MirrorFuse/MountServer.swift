package import MirrorEngine
import MirrorImage
package import MirrorSystem
package import SystemPackage

/// The threads that serve a mount. One value serves one mount, until it is unmounted or handed on.
///
///     let device = try Mounting.mount(at: path, source: source, options: .init())
///     let server = try MountServer(
///         engine: engine, source: directory, device: device, keeper: keeper, mountpoint: path)
///     try server.serve()      // usable when this returns
///     server.wait()           // until somebody unmounts it, or `drain`
package final class MountServer: Sendable {
    private let session: Session
    private let mountpoint: FilePath

    /// Why a server has ended.
    package enum End: Sendable {
        /// The filesystem is gone.
        case unmounted
        /// `drain` was called: the mount is there, and a successor can serve it.
        case drained
    }

    /// - Parameters:
    ///   - source: the source directory, opened O_PATH | O_DIRECTORY before anything may hide it.
    ///     The caller keeps it.
    ///   - device: what `Mounting.mount` gave, or a duplicate; used until the process ends.
    ///   - keeper: holds what a successor needs to take the mount over, and gives what a
    ///     predecessor left.
    ///   - mountpoint: an absolute path; may be the source itself.
    package init(
        engine: Engine, source: FileDescriptor, device: FileDescriptor, keeper: any Keeper,
        mountpoint: FilePath
    ) throws(MountError) {
        do throws(Errno) {
            session = try Session(engine: engine, source: source, device: device, keeper: keeper)
        } catch {
            throw MountError(message: "cannot use the source directory", cause: "\(error)")
        }
        self.mountpoint = mountpoint
    }

    /// Whether the kernel has begun to use a mount, by the memory `session` that its keeper holds.
    package static func hasBegun(_ session: FileDescriptor) -> Bool {
        SessionMemory.hasBegun(session)
    }

    /// Starts the request threads, and returns once the kernel can be served: after INIT was
    /// answered, or after a predecessor's work was taken over.
    package func serve() throws(MountError) {
        try session.attach()
        try session.start()
    }

    /// Blocks until the filesystem was unmounted, or `drain` was called, and every request thread
    /// has ended.
    @discardableResult
    package func wait() -> End {
        session.life.ended.wait()
        return session.isDraining ? .drained : .unmounted
    }

    /// Whether the kernel sends a successor what was not answered (Linux 6.9). Known when `serve`
    /// has returned.
    package var repeatsRequests: Bool { session.offer.resend }

    /// Takes no further request and lets those under way end, for at most `patience`. What is not
    /// answered then, the kernel sends to the successor.
    package func drain(patience: Duration = .seconds(5)) { session.drain(patience) }

    /// Detaches the mount, not lazily.
    ///
    /// - Throws: `.resourceBusy` while a file in it is open or a process has its working directory
    ///   there.
    package func unmount() throws(Errno) { try Unmounting.unmount(mountpoint) }

    /// The images that guests have open: path relative to the source, number of handles.
    package var openImages: [(path: FilePath, handles: Int)] {
        var counts: [ObjectIdentifier: (path: FilePath, handles: Int)] = [:]
        for file in session.files.all {
            let key = ObjectIdentifier(file.image)
            let known = counts[key] ?? (file.image.path, 0)
            counts[key] = (known.path, known.handles + 1)
        }
        return counts.values.sorted { $0.path.string < $1.path.string }
    }
}
