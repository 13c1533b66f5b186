import Foundation
import Testing

/// Who looks for the tests of a source file finds them in the folder of the same name.
@Suite("Folders of tests")
struct TestFolders {
    /// The tests of the engine are one target for five of the product, and for the NBD store.
    private static let whole = "MirrorEngineTests"

    /// Folders with no counterpart: what many tests use, and the tests that stand for QEMU's own.
    private static let free: Set<String> = ["MirrorEngineTests/Bench", "MirrorEngineTests/Parity"]

    /// Folders of a test target in which Swift files lie, relative to the target; "" for its own.
    private func folders(of target: String) -> [String] {
        let root = Repository.root.appending(path: "Tests/\(target)")
        let found = FileManager.default.enumerator(atPath: root.path())?.allObjects ?? []
        let files = found.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }
        return Set(files.map { $0.split(separator: "/").dropLast().joined(separator: "/") })
            .sorted()
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
            for folder in folders(of: target)
            where !folder.isEmpty && !Self.free.contains("\(target)/\(folder)") {
                let source = counterpart(of: folder, in: target)
                #expect(isThere(source), "Tests/\(target)/\(folder): there is no \(source)")
            }
        }
    }

    @Test("no test of the engine lies outside of the folders")
    func sorted() {
        #expect(!folders(of: Self.whole).contains(""))
        for folder in Self.free { #expect(isThere("Tests/\(folder)")) }
    }
}
