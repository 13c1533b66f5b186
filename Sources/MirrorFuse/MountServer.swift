public import MirrorEngine
import MirrorSystem
public import SystemPackage

/// A mount and the threads that serve it. One value serves one mount once.
///
///     let server = try MountServer(engine: engine, source: directory, mountpoint: path, options: .init())
///     try server.mount()      // usable when this returns
///     server.wait()           // until somebody unmounts it
public final class MountServer: Sendable {
    private let session: Session
    private let mountpoint: FilePath
    private let options: MountOptions

    /// - Parameters:
    ///   - source: the source directory, opened O_PATH | O_DIRECTORY before anything may hide it. The
    ///     caller keeps it.
    ///   - mountpoint: an absolute path; may be the source itself.
    public init(
        engine: Engine, source: FileDescriptor, mountpoint: FilePath, options: MountOptions
    ) throws(MountError) {
        do throws(Errno) {
            session = try Session(engine: engine, source: source)
        } catch {
            throw MountError(message: "cannot use the source directory", cause: "\(error)")
        }
        self.mountpoint = mountpoint
        self.options = options
    }

    /// Mounts, starts the request threads, and returns once the kernel can be served.
    public func mount() throws(MountError) {
        let arguments = options.arguments(
            source: session.engine.configuration.source.string, isRoot: ThreadIdentity.mayChange)
        try session.attach(to: mountpoint, arguments)
        try session.start()
    }

    /// Blocks until the filesystem was unmounted and every request thread has ended.
    public func wait() { session.ended.wait() }

    /// Detaches the mount, not lazily.
    ///
    /// - Throws: `.resourceBusy` while a file in it is open or a process has its working directory there.
    public func unmount() throws(Errno) { try Unmounting.unmount(mountpoint) }

    /// The images that guests have open: path relative to the source, number of handles.
    public var openImages: [(path: FilePath, handles: Int)] {
        var counts: [ObjectIdentifier: (path: FilePath, handles: Int)] = [:]
        for file in session.files.all {
            let key = ObjectIdentifier(file.image)
            let known = counts[key] ?? (file.image.path, 0)
            counts[key] = (known.path, known.handles + 1)
        }
        return counts.values.sorted { $0.path.string < $1.path.string }
    }

    /// The bytes of the INIT request that the kernel began the mount with; a restarted worker replays it.
    public var initRequest: [UInt8] { session.initRequest }
}

extension MountOptions {
    /// What stands after `-o` for libfuse. nosuid and nodev are its own defaults.
    func arguments(source: String, isRoot: Bool) -> String {
        var words = ["fsname=\(Self.escaped(name ?? source))", "subtype=twinfs"]
        words += ["nosuid", "nodev", "default_permissions"]
        if allowOther || isRoot { words.append("allow_other") }
        if readOnly { words.append("ro") }
        return (words + kernelOptions).joined(separator: ",")
    }

    /// libfuse splits its options at commas and takes a backslash before one away.
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing(",", with: "\\,")
    }
}
