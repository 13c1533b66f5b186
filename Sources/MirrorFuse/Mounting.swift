import CFuse
import MirrorSystem
package import SystemPackage

/// Mounting apart from serving: whoever holds the device descriptor keeps the mount alive, also
/// while nobody serves it.
package enum Mounting {
    /// Mounts with libfuse, which finds the way that the caller may go (mount(2) or `fusermount3`).
    /// The INIT request waits in the device afterwards.
    ///
    /// - Parameters:
    ///   - mountpoint: an absolute path.
    ///   - source: the source directory's path, shown as the mount's source.
    /// - Returns: the descriptor of `/dev/fuse`, closed on exec.
    package static func mount(
        at mountpoint: FilePath, source: FilePath, options: MountOptions
    ) throws(MountError) -> FileDescriptor {
        cfuse_capture_messages()
        let arguments = options.arguments(
            source: source.string, isRoot: ThreadIdentity.mayChange)
        var operations = fuse_lowlevel_ops()
        guard let session = cfuse_session_new(arguments, &operations, nil) else {
            throw .libfuse("cannot start a FUSE session")
        }
        // Closes its own descriptor and leaves the mount alone.
        defer { fuse_session_destroy(session) }
        let result = mountpoint.withPlatformString { fuse_session_mount(session, $0) }
        if result != 0 { throw .libfuse("cannot mount on \(mountpoint)") }
        do throws(Errno) {
            return try FileDescriptor(rawValue: fuse_session_fd(session)).duplicated()
        } catch {
            try? Unmounting.unmount(mountpoint)
            throw MountError(message: "cannot keep the FUSE device", cause: "\(error)")
        }
    }
}

extension MountError {
    /// With what libfuse said last as the cause.
    static func libfuse(_ message: String) -> MountError {
        let cause = [CChar](unsafeUninitializedCapacity: 512) { buffer, count in
            count = cfuse_last_message(buffer.baseAddress, buffer.count)
        }
        return MountError(
            message: message, cause: String(decoding: cause.map(UInt8.init), as: UTF8.self))
    }
}

extension MountOptions {
    /// What stands after `-o` for libfuse. nosuid and nodev are its own defaults.
    fileprivate func arguments(source: String, isRoot: Bool) -> String {
        var words = ["fsname=\(Self.escaped(name ?? source))", "subtype=twinfs"]
        // For reads of the kernel itself, which are not bounded by what a request has pages for.
        words += ["nosuid", "nodev", "default_permissions", "max_read=\(Session.payload)"]
        if allowOther || isRoot { words.append("allow_other") }
        if readOnly { words.append("ro") }
        return (words + kernelOptions).joined(separator: ",")
    }

    /// libfuse splits its options at commas and takes a backslash before one away.
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing(",", with: "\\,")
    }
}
