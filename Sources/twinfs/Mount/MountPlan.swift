import MirrorCore
import MirrorSystem
import SystemPackage

/// A mount that was checked and can be tried: nothing has been touched yet, and every reason that can
/// be seen beforehand has its own message and exit code.
struct MountPlan {
    let request: MountRequest
    /// Absolute, without links.
    let source: FilePath
    let mountpoint: FilePath
    let target: FilePath?
    let controlGroup: UInt32?
    /// The source directory, with the lock that says who serves it.
    let directory: FileDescriptor

    init(source: RawArgument, mountpoint: RawArgument?, options: [RawArgument]) throws {
        request = try Self.request(options)
        controlGroup = try Self.group(request.controlGroup)
        let table = try Mounted.table()
        self.source = try SourceCheck.path(source)
        try SourceCheck.refuseServed(self.source, table)
        self.mountpoint = try MountpointCheck.path(mountpoint, source: self.source, table)
        try Self.checkFuse()
        try Self.checkAllowOther(request)
        target = try TargetCheck.path(request.target, source: self.source, self.mountpoint)
        directory = try SourceCheck.openAndLock(self.source)
    }

    private static func request(_ options: [RawArgument]) throws -> MountRequest {
        do throws(CommandError) { return try MountRequest(parsing: options.map(\.bytes)) } catch {
            throw Failure(error.code == .notSupported ? .notSupported : .badOption, error.message)
        }
    }

    private static func group(_ name: String?) throws -> UInt32? {
        guard let name else { return nil }
        guard let id = Accounts.group(name) else {
            throw Failure(.badOption, "control_group=\(NameText.harmless(name)): no such group")
        }
        return id
    }

    private static func checkFuse() throws {
        do throws(Errno) {
            try? FileDescriptor.openBacking("/dev/fuse", .readWrite).close()
            _ = try FilePath("/dev/fuse").status()
        } catch {
            throw Failure(.noFuse, "/dev/fuse: \(error); load it with modprobe fuse")
        }
    }

    private static func checkAllowOther(_ request: MountRequest) throws {
        guard request.allowOther, !DaemonProcess.isRoot else { return }
        let text = String(
            decoding: (try? FilePath("/etc/fuse.conf").content()) ?? [], as: UTF8.self)
        let lines = text.split(separator: "\n").map { $0.filter { !$0.isWhitespace } }
        guard lines.contains("user_allow_other") else {
            throw Failure(
                .allowOtherForbidden,
                "allow_other: write user_allow_other into /etc/fuse.conf, or mount as root")
        }
    }
}

/// The directory that is to be served.
enum SourceCheck {
    static func path(_ source: RawArgument) throws -> FilePath {
        let shown = NameText.shown(source.bytes)
        let path = try TimeLimit.run(shown) {
            do throws(Errno) { return try source.path.resolved() } catch {
                throw failure(error, shown)
            }
        }
        return path
    }

    private static func failure(_ error: Errno, _ shown: String) -> Failure {
        switch error {
        case .noSuchFileOrDirectory:
            Failure(.sourceMissing, "\(shown): the source directory does not exist")
        case .notDirectory: Failure(.sourceNotDirectory, "\(shown): the source is no directory")
        default: Failure(.sourceUnreadable, "\(shown): the source cannot be read: \(error)")
        }
    }

    /// Before the directory is opened: a mount that hangs must not hang this.
    static func refuseServed(_ source: FilePath, _ table: MountTable) throws {
        guard let top = table.top(at: source.bytes), top.isTwinfs else { return }
        let shown = NameText.shown(source.bytes)
        if top.mountpoint == source.bytes {
            throw Failure(
                .alreadyMounted,
                "\(shown): is a twinfs mount already; look at it: twinfs status \(shown)")
        }
        throw Failure(
            .mountpointInSource,
            "\(shown): the source lies in the twinfs mount \(NameText.shown(top.mountpoint))")
    }

    static func openAndLock(_ source: FilePath) throws -> FileDescriptor {
        let shown = NameText.shown(source.bytes)
        let directory: FileDescriptor
        do throws(Errno) {
            directory = try .openBacking(source, .readOnly, [.directory])
        } catch { throw failure(error, shown) }
        do throws(Errno) { try directory.lockDirectory() } catch {
            try? directory.close()
            throw Failure(
                .sourceServed,
                "\(shown): another twinfs serves this directory; unmount that one first")
        }
        return directory
    }
}

/// Where the mount is to lie.
enum MountpointCheck {
    static func path(
        _ mountpoint: RawArgument?, source: FilePath, _ table: MountTable
    ) throws -> FilePath {
        guard let mountpoint else { return source }
        let shown = NameText.shown(mountpoint.bytes)
        let path = try resolved(mountpoint, shown)
        if path == source { return source }
        try refuseMounted(path, source, table, shown)
        if path.starts(with: source) {
            throw Failure(
                .mountpointInSource,
                "\(shown): lies inside the source; mount over the source itself, or elsewhere")
        }
        try refuseFull(path, shown)
        return path
    }

    private static func resolved(_ mountpoint: RawArgument, _ shown: String) throws -> FilePath {
        try TimeLimit.run(shown) {
            do throws(Errno) { return try mountpoint.path.resolved() } catch {
                switch error {
                case .noSuchFileOrDirectory:
                    throw Failure(
                        .mountpointMissing,
                        "\(shown): the mountpoint does not exist; make it: mkdir")
                case .notDirectory:
                    throw Failure(.mountpointNotDirectory, "\(shown): is no directory")
                default: throw Failure(.mountFailed, "\(shown): \(error)")
                }
            }
        }
    }

    private static func refuseMounted(
        _ path: FilePath, _ source: FilePath, _ table: MountTable, _ shown: String
    ) throws {
        guard let top = table.top(at: path.bytes), top.isTwinfs else { return }
        if top.mountpoint != path.bytes {
            throw Failure(.mountpointInSource, "\(shown): lies in another twinfs mount")
        }
        let what = top.source == source.bytes ? "this source" : NameText.shown(top.source)
        throw Failure(.alreadyMounted, "\(shown): has \(what) mounted already")
    }

    private static func refuseFull(_ path: FilePath, _ shown: String) throws {
        do throws(Errno) {
            guard try path.status().kind == .directory else {
                throw Errno.notDirectory
            }
            if try path.isEmptyDirectory() { return }
        } catch {
            if error == .notDirectory {
                throw Failure(.mountpointNotDirectory, "\(shown): the mountpoint is no directory")
            }
            throw Failure(.mountFailed, "\(shown): \(error)")
        }
        throw Failure(
            .mountpointNotEmpty,
            "\(shown): is not empty, and a mount would hide what is in it; use an empty directory")
    }
}

/// `target=` of a mount.
enum TargetCheck {
    static func path(
        _ target: [UInt8]?, source: FilePath, _ mountpoint: FilePath
    ) throws -> FilePath? {
        guard let target else { return nil }
        let shown = "target=\(NameText.shown(target))"
        let path: FilePath
        do throws(Errno) {
            path = try FilePath(bytes: target).resolved()
            guard try path.status().kind == .directory else { throw .notDirectory }
        } catch {
            throw Failure(.badTarget, "\(shown): must be an existing directory: \(error)")
        }
        if path == source { throw Failure(.badTarget, "\(shown): is the source itself") }
        if path.starts(with: mountpoint) || path.starts(with: source) {
            throw Failure(.badTarget, "\(shown): lies inside the mount; choose another directory")
        }
        if source.starts(with: path) {
            throw Failure(.badTarget, "\(shown): the source lies in it; choose another directory")
        }
        return path
    }
}
