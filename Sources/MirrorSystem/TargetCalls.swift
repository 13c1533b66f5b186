internal import CLinux
internal import Glibc
public import SystemPackage

// What the engine asks of source and target beside their bytes.

extension FileDescriptor {
    /// Opens `path` below this directory; neither `..`, nor a link, nor a mount's magic leads out
    /// of it. Corresponds to `openat2(2)` with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS.
    public func openBeneath(
        _ path: FilePath, _ mode: AccessMode, _ options: OpenOptions = []
    ) throws(Errno) -> FileDescriptor {
        let flags = UInt64(UInt32(bitPattern: mode.rawValue | options.rawValue | O_CLOEXEC))
        let resolve = CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_NO_SYMLINKS
        return FileDescriptor(
            rawValue: try retrying {
                path.withPlatformString { clinux_openat2(rawValue, $0, flags, 0, resolve) }
            })
    }

    /// Bytes that an unprivileged writer may still add to this filesystem. Corresponds to
    /// `fstatvfs(2)`.
    public func availableSpace() throws(Errno) -> UInt64 {
        var raw = statvfs()
        _ = try retrying { fstatvfs(rawValue, &raw) }
        return UInt64(raw.f_bavail) * UInt64(raw.f_frsize)
    }

    /// Bytes of the blocks in which this filesystem gives room to files; 4096 where what it says
    /// cannot be one (NFS names its transfer size). Corresponds to `fstatvfs(2)`.
    public func filesystemBlockSize() throws(Errno) -> Int {
        var raw = statvfs()
        _ = try retrying { fstatvfs(rawValue, &raw) }
        let size = Int(raw.f_frsize)
        return size.nonzeroBitCount == 1 && (512...(64 << 10)).contains(size) ? size : 4096
    }

    /// Makes this file share all of the other's blocks; what it has past the other's end stays.
    /// Writes back the other's cached pages first. Corresponds to `ioctl(2)` with FICLONE.
    public func clone(_ other: FileDescriptor) throws(Errno) {
        _ = try retrying { clinux_clone(rawValue, other.rawValue) }
    }

    /// Bytes of a block device. Corresponds to `ioctl(2)` with BLKGETSIZE64.
    public func blockDeviceSize() throws(Errno) -> UInt64 {
        var size: UInt64 = 0
        _ = try retrying { clinux_block_size(rawValue, &size) }
        return size
    }

    /// The number of the disk that a block device belongs to: a disk that is connected later in the
    /// same boot has another one. Nil where the kernel does not count them. Corresponds to
    /// `ioctl(2)` with BLKGETDISKSEQ.
    public var diskSequence: UInt64? {
        var number: UInt64 = 0
        return clinux_disk_sequence(rawValue, &number) < 0 ? nil : number
    }

    /// Corresponds to `fsetxattr(2)`.
    public func setAttribute(_ name: String, _ value: String) throws(Errno) {
        _ = try retrying { fsetxattr(rawValue, name, value, value.utf8.count, 0) }
    }

    /// The value of an attribute, nil where there is none or the filesystem has none.
    /// Corresponds to `fgetxattr(2)`.
    public func attribute(_ name: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = fgetxattr(rawValue, name, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Corresponds to `fremovexattr(2)`.
    public func removeAttribute(_ name: String) throws(Errno) {
        _ = try retrying { fremovexattr(rawValue, name) }
    }

    /// Gives the file an owner and a mode, as far as this process may. Corresponds to `fchown(2)`,
    /// `fchmod(2)`.
    public func adopt(owner: UInt32, group: UInt32, mode: UInt32) {
        _ = fchown(rawValue, owner, group)
        _ = fchmod(rawValue, mode)
    }

    /// Renames inside this directory; never over another file. Corresponds to `renameat2(2)` with
    /// RENAME_NOREPLACE; on filesystems without it (NFS, sshfs), to `linkat(2)` and `unlinkat(2)`.
    public func rename(
        _ old: FilePath.Component, to new: FilePath.Component
    ) throws(Errno) {
        do throws(Errno) {
            _ = try retrying {
                old.withPlatformString { old in
                    new.withPlatformString { new in
                        clinux_renameat2(rawValue, old, rawValue, new, UInt32(RENAME_NOREPLACE))
                    }
                }
            }
        } catch .invalidArgument {
            try link(old, new)
        }
    }

    /// Renames inside this directory, over whatever has the name. Corresponds to `renameat(2)`.
    public func renameOver(
        _ old: FilePath.Component, to new: FilePath.Component
    ) throws(Errno) {
        _ = try retrying {
            old.withPlatformString { old in
                new.withPlatformString { renameat(rawValue, old, rawValue, $0) }
            }
        }
    }

    private func link(
        _ old: FilePath.Component, _ new: FilePath.Component
    ) throws(Errno) {
        _ = try retrying {
            old.withPlatformString { old in
                new.withPlatformString { linkat(rawValue, old, rawValue, $0, 0) }
            }
        }
        _ = try retrying { old.withPlatformString { unlinkat(rawValue, $0, 0) } }
    }
}

extension FilePath {
    /// Corresponds to `mkdir(2)`; true where the directory was made, false where it was there.
    @discardableResult
    public func makeDirectory(mode: UInt32 = 0o755) throws(Errno) -> Bool {
        do throws(Errno) {
            _ = try retrying { withPlatformString { mkdir($0, mode) } }
            return true
        } catch .fileExists {
            return false
        }
    }

    /// Gives this file the name `other`, over whatever has it. Corresponds to `rename(2)`.
    public func replace(_ other: FilePath) throws(Errno) {
        _ = try retrying {
            withPlatformString { old in other.withPlatformString { Glibc.rename(old, $0) } }
        }
    }

    /// Corresponds to `unlink(2)`.
    public func removeFile() throws(Errno) {
        _ = try retrying { withPlatformString { unlink($0) } }
    }

    /// Corresponds to `rmdir(2)`.
    public func removeDirectory() throws(Errno) {
        _ = try retrying { withPlatformString { rmdir($0) } }
    }

    /// Whether a shell pattern matches this path as a whole. Corresponds to `fnmatch(3)`.
    public func matches(_ pattern: String) -> Bool {
        withPlatformString { fnmatch(pattern, $0, 0) } == 0
    }

}

extension FilePath {
    /// Whether somebody has the file open for writing, as far as that can be seen: false on
    /// filesystems without leases, and for files of others. Corresponds to `fcntl(2)` with
    /// F_SETLEASE, which is granted for reading only while there is no writer.
    public var isOpenForWriting: Bool {
        guard let file = try? FileDescriptor.openBacking(self, .readOnly, .noFollow) else {
            return false
        }
        defer { try? file.close() }
        // A process that is being started holds what its parent has open until it runs: look again.
        for _ in 0..<5 {
            do throws(Errno) {
                _ = try retrying { clinux_probe_writers(file.rawValue) }
                return false
            } catch {
                if error != .resourceTemporarilyUnavailable { return false }
            }
            usleep(10_000)
        }
        return true
    }
}

extension FilePath {
    /// Whether this process may make entries here, read-only filesystems counted.
    /// Corresponds to `access(2)` with W_OK and X_OK.
    public var isWritable: Bool { withPlatformString { access($0, W_OK | X_OK) } == 0 }
}
