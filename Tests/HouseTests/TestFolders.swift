import Foundation
import Testing

/// Who looks for the tests of a source file finds them in the folder of the same name.
@Suite("Folders of tests")
struct TestFolders {
    /// The tests of the engine are one target for five of the product, and for the NBD store.
    private static let whole = "MirrorEngineTests"

    /// Folders with no counterpart: what many tests use, and the tests that stand for QEMU's own.
    private static let free: Set<String> = ["MirrorEngineTests/Bench", "MirrorEngineTests/Parity"]

    /// Paths of all folders below one of the repository, relative to it.
    private func folders(in path: String) -> [String] {
        let root = Repository.root.appending(path: path)
        let found = FileManager.default.enumerator(
            at: root, includingPropertiesForKeys: [.isDirectoryKey])
        return (found?.allObjects ?? []).compactMap { $0 as? URL }
            .filter { (try? $0.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == true }
            .map { String($0.standardizedFileURL.path().dropFirst(root.path().count)) }
            .map { $0.split(separator: "/").joined(separator: "/") }
    }

    /// `Job/Cut` of the engine's tests is about `Sources/MirrorJob/Cut`.
    private func counterpart(of folder: String, in target: String) -> String {
        target == Self.whole
            ? "Sources/Mirror\(folder)" : "Sources/\(target.dropLast("Tests".count))/\(folder)"
    }

    private func isThere(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        let path = Repository.root.appending(path: path).path()
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            && isFolder.boolValue
    }

    @Test("each folder of a test target has the name of a folder of its sources")
    func mirrored() throws {
        let targets = try FileManager.default.contentsOfDirectory(
            atPath: Repository.root.appending(path: "Tests").path()
        ).filter { $0.hasPrefix("Mirror") && $0.hasSuffix("Tests") }
        #expect(targets.count >= 4, "the test targets were not found")
        for target in targets {
            for folder in folders(in: "Tests/\(target)")
            where !Self.free.contains("\(target)/\(folder)") {
                let source = counterpart(of: folder, in: target)
                #expect(isThere(source), "Tests/\(target)/\(folder): there is no \(source)")
            }
        }
    }

    @Test("no test of the engine lies outside of the folders")
    func sorted() throws {
        let found = try FileManager.default.contentsOfDirectory(
            atPath: Repository.root.appending(path: "Tests/\(Self.whole)").path())
        #expect(found.filter { $0.hasSuffix(".swift") } == [])
        for folder in Self.free { #expect(isThere("Tests/\(folder)")) }
    }
}
