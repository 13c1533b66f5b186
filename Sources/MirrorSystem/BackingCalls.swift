internal import CLinux
internal import Glibc
public import SystemPackage

// What a switch-over asks of the files that serve images.

extension FileDescriptor {
    /// Holds the file that a path leads to. Corresponds to `open(2)` with O_PATH.
    public static func openNode(at path: FilePath) throws(Errno) -> FileDescriptor {
        FileDescriptor(
            rawValue: try retrying {
                path.withPlatformString { Glibc.open($0, CLINUX_O_PATH | O_CLOEXEC) }
            })
    }

    /// Holds the file of this name below this directory. Corresponds to `openat2(2)` with O_PATH,
    /// RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS.
    public func openNodeBeneath(_ path: FilePath) throws(Errno) -> FileDescriptor {
        try openBeneath(path, .readOnly, OpenOptions(rawValue: CLINUX_O_PATH | O_NOFOLLOW))
    }

    /// Another number for the same open file, locks and all. Corresponds to `fcntl(2)` with
    /// F_DUPFD_CLOEXEC.
    public func duplicated() throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retrying { fcntl(rawValue, F_DUPFD_CLOEXEC, 0) })
    }

    /// Makes the number `other`, which is open, stand for this open file. A call that is under way
    /// on `other` goes on with what it stood for. Corresponds to `dup3(2)`.
    public func replace(_ other: FileDescriptor) {
        do throws(Errno) {
            _ = try retrying { Glibc.dup3(rawValue, other.rawValue, O_CLOEXEC) }
        } catch {
            preconditionFailure("dup3 of two descriptors of our own: \(error)")
        }
    }
}

extension FileDescriptor {
    /// The value of an attribute; nil where the file has none of that name. Also of a file that is
    /// held by an O_PATH descriptor. Corresponds to `getxattr(2)`.
    ///
    /// - Throws: `.notSupported` where the filesystem keeps no attributes.
    public func nodeAttribute(_ name: String) throws(Errno) -> String? {
        do throws(Errno) {
            return try nodeAttribute(name, room: 512)
        } catch .noData {
            return nil
        } catch .outOfRange {
            // The most that Linux keeps in one.
            return try nodeAttribute(name, room: 64 << 10)
        }
    }

    private func nodeAttribute(_ name: String, room: Int) throws(Errno) -> String {
        var value = [UInt8](repeating: 0, count: room)
        let count = try retrying {
            name.withCString { clinux_node_getxattr(rawValue, $0, &value, value.count) }
        }
        return String(decoding: value[..<count], as: UTF8.self)
    }

    /// Corresponds to `setxattr(2)`.
    public func setNodeAttribute(_ name: String, _ value: String) throws(Errno) {
        let bytes = Array(value.utf8)
        _ = try retrying {
            name.withCString { clinux_node_setxattr(rawValue, $0, bytes, bytes.count, 0) }
        }
    }

    /// Takes an attribute away, where there is one. Corresponds to `removexattr(2)`.
    public func removeNodeAttribute(_ name: String) throws(Errno) {
        do throws(Errno) {
            _ = try retrying { name.withCString { clinux_node_removexattr(rawValue, $0) } }
        } catch .noData {
            return
        }
    }

    /// Makes what this O_PATH descriptor holds durable, attributes too. Corresponds to `fsync(2)`.
    public func synchronizeNode() throws(Errno) {
        let file = try FileDescriptor.openBacking(procPath, .readOnly)
        defer { try? file.close() }
        try file.synchronize()
    }
}

extension FilePath {
    /// The content of a small file; nil where there is none.
    public func contentIfAny() throws(Errno) -> [UInt8]? {
        do throws(Errno) {
            return try content()
        } catch .noSuchFileOrDirectory {
            return nil
        }
    }
}

/// Random numbers that nobody else has.
public enum RandomID {
    /// 128 bits as 32 hexadecimal digits, from the system's generator (`getrandom(2)`).
    public static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return [generator.next(), generator.next()].map { (word: UInt64) in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
