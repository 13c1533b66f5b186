internal import Glibc
public import SystemPackage

/// A process that keeps something below a directory in use.
public struct FileHolder: Hashable, Sendable {
    public let process: Int32
    /// The program's name as the kernel knows it, bytes.
    public let name: [UInt8]
    /// What it holds: an open file, its working directory or its root.
    public let path: FilePath

    /// Every process, as far as /proc shows them, that holds something at or below `directory` (absolute,
    /// without links), one entry a path. Never touches the directory itself, which may hang.
    public static func holders(below directory: FilePath) -> [FileHolder] {
        entries("/proc").compactMap { Int32($0) }.flatMap { process -> [FileHolder] in
            let links =
                ["cwd", "root"].map { "/proc/\(process)/\($0)" }
                + entries("/proc/\(process)/fd").map { "/proc/\(process)/fd/\($0)" }
            let paths = Set(links.compactMap { FilePath($0).linkDestination() })
                .filter { $0.starts(with: directory) }
            if paths.isEmpty { return [] }
            let name = FileHolder.name(of: process)
            return paths.map { FileHolder(process: process, name: name, path: $0) }
        }
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
