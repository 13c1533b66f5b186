internal import Glibc
public import SystemPackage

extension FileDescriptor {
    /// The entries of this directory, without `.` and `..`, in no order. The descriptor must not be
    /// O_PATH. Corresponds to `fdopendir(3)` and `readdir(3)` on a descriptor of its own.
    public func entryNames() throws(Errno) -> [FilePath.Component] {
        let own = FileDescriptor(
            rawValue: try retrying { openat(rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
        guard let stream = fdopendir(own.rawValue) else { throw Errno(rawValue: errno) }
        defer { closedir(stream) }
        var names: [FilePath.Component] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw Errno(rawValue: errno) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) {
                    FilePath.Component(platformString: $0)
                }
            }
            if let name, name.kind == .regular { names.append(name) }
        }
    }
}
