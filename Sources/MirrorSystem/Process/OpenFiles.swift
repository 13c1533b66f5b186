internal import Glibc
public import SystemPackage

/// A process that keeps something below a directory in use.
public struct FileHolder: Hashable, Sendable {
    public let process: Int32
    /// The program's name as the kernel knows it, bytes.
    public let name: [UInt8]
    /// What it holds: an open file, its working directory or its root.
    public let path: FilePath

    /// Every process, as far as /proc shows them, that holds something at or below `directory`
    /// (absolute, without links), one entry a path. Never touches the directory itself, which may
    /// hang.
    ///
    /// - Parameter mounts: files that were opened through these (`MountTable.Entry.id`) do not
    ///   count: under a mount over its own source a file has the same path.
    public static func holders(below directory: FilePath, except mounts: Set<Int>) -> [FileHolder] {
        entries("/proc").compactMap { Int32($0) }.flatMap { process -> [FileHolder] in
            var paths: Set<FilePath> = []
            for link in ["cwd", "root"] + entries("/proc/\(process)/fd").map({ "fd/\($0)" }) {
                guard let path = FilePath("/proc/\(process)/\(link)").linkDestination(),
                    path.starts(with: directory),
                    mountID(of: process, link).map(mounts.contains) != true
                else { continue }
                paths.insert(path)
            }
            if paths.isEmpty { return [] }
            let name = FileHolder.name(of: process)
            return paths.map { FileHolder(process: process, name: name, path: $0) }
        }
    }

    /// Through which mount a descriptor was opened; nil for a directory that is none.
    private static func mountID(of process: Int32, _ link: String) -> Int? {
        guard link.hasPrefix("fd/") else { return nil }
        let path = FilePath("/proc/\(process)/fdinfo/\(link.dropFirst(3))")
        let text = String(decoding: (try? path.content(limit: 4096)) ?? [], as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
        return line?.split(separator: "\t").last.flatMap { Int($0) }
    }

    private static func name(of process: Int32) -> [UInt8] {
        let text = (try? FilePath("/proc/\(process)/comm").content(limit: 64)) ?? []
        return Array(text.prefix { $0 != UInt8(ascii: "\n") })
    }

    private static func entries(_ directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names.filter { !$0.hasPrefix(".") }
    }
}
