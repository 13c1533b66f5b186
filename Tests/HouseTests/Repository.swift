import Foundation

/// The repository that these tests were built from.
enum Repository {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// Names of the folders in `Sources`: one for each target.
    static func targets() throws -> [String] {
        try FileManager.default.contentsOfDirectory(
            at: root.appending(path: "Sources"), includingPropertiesForKeys: nil
        ).map(\.lastPathComponent).sorted()
    }

    /// Paths of the Swift files of a target, relative to the repository.
    static func swiftFiles(of target: String) -> [String] {
        let folder = root.appending(path: "Sources/\(target)")
        let names = FileManager.default.enumerator(atPath: folder.path())?.allObjects ?? []
        return names.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }
            .map { "Sources/\(target)/\($0)" }.sorted()
    }

    /// Everything that git tracks; where there is no git, what lies in the top folder.
    static func trackedFiles() throws -> [String] {
        let git = Process()
        git.executableURL = URL(filePath: "/usr/bin/env")
        git.arguments = ["git", "-c", "safe.directory=*", "-C", root.path(), "ls-files"]
        let output = Pipe()
        git.standardOutput = output
        git.standardError = FileHandle.nullDevice
        try git.run()
        let listed = output.fileHandleForReading.readDataToEndOfFile()
        git.waitUntilExit()
        guard git.terminationStatus == 0 else {
            return try FileManager.default.contentsOfDirectory(atPath: root.path())
        }
        return String(decoding: listed, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
