import MirrorCore
import MirrorSystem
import SystemPackage

/// A mount that was checked and can be tried: nothing has been touched yet, and every reason that
/// can be seen beforehand has its own message and exit code.
struct MountPlan {
    let request: MountRequest
    /// Absolute, without links.
    let source: FilePath
    let mountpoint: FilePath
    let target: FilePath?
    /// Nil where the user has no place for it.
    let stateDirectory: FilePath?
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
        stateDirectory = try StateCheck.path(
            request.stateDirectory, source: self.source, self.mountpoint)
        try StateCheck.checkLog(request.log, source: self.source, self.mountpoint)
        directory = try SourceCheck.openAndLock(self.source)
    }

    static func request(_ options: [RawArgument]) throws -> MountRequest {
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
            // fusermount3, which mounts for others than root, has rights of its own.
            guard DaemonProcess.isRoot else {
                _ = try FilePath("/dev/fuse").status()
                return
            }
            let device = try FileDescriptor.openBacking("/dev/fuse", .readWrite)
            try? device.close()
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
