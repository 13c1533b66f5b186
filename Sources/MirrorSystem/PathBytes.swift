internal import Glibc
public import SystemPackage

// Names are bytes, in no encoding.

extension FilePath {
    /// A path from its bytes, which need not be UTF-8.
    public init(bytes: [UInt8]) {
        self = (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
            FilePath(platformString: $0.baseAddress!)
        }
    }

    /// The path's bytes, without a zero at the end.
    public var bytes: [UInt8] {
        withPlatformString { pointer in
            UnsafeBufferPointer(start: pointer, count: strlen(pointer)).map {
                UInt8(bitPattern: $0)
            }
        }
    }

    /// This path with `suffix` at the end of its last name.
    public func suffixed(_ suffix: String) -> FilePath {
        FilePath(bytes: bytes + Array(suffix.utf8))
    }

    /// Absolute and without symbolic links; everything named must exist. Corresponds to
    /// `realpath(3)`.
    public func resolved() throws(Errno) -> FilePath {
        let resolved = withPlatformString { realpath($0, nil) }
        guard let resolved else { throw Errno(rawValue: errno) }
        defer { free(resolved) }
        return FilePath(platformString: resolved)
    }
}

extension FilePath {
    /// This path after a rename of it, or of a directory above it; nil where it is another one.
    public func moved(from old: FilePath, to new: FilePath) -> FilePath? {
        guard starts(with: old) else { return nil }
        var path = new
        for component in components.dropFirst(old.components.count) { path.append(component) }
        return path
    }
}
