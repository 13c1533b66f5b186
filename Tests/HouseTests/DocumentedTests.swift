import Foundation
import Testing

/// What docs/ says is shown by a test is.
@Suite("Tests that the documents name")
struct DocumentedTests {
    private static let documents = [
        "docs/semantics.md", "docs/qemu.md", "docs/reliability.md",
    ]

    /// `` `JobTests`: *title*; *another title* ``: each title with the file named last before it.
    private func titles(in text: String) -> [(file: String, title: String)] {
        var file = ""
        var found: [(String, String)] = []
        for match in text.matches(
            of: /`(?:[A-Za-z]+\/)?([A-Z]\w*Tests)`|[:;|] \*(\w[^*\n|]* [^*\n|]*)\*/)
        {
            if let name = match.output.1 { file = String(name) }
            if let title = match.output.2 { found.append((file, String(title))) }
        }
        return found
    }

    /// Contents of the test files by name without extension, `ends.sh` by its whole name.
    private func files() throws -> [String: String] {
        let folder = Repository.root.appending(path: "Tests")
        let paths = FileManager.default.enumerator(atPath: folder.path())?.allObjects ?? []
        var files: [String: String] = [:]
        for case let path as String in paths {
            let url = URL(filePath: path)
            let name = url.pathExtension == "swift" ? url.deletingPathExtension() : url
            guard ["swift", "sh"].contains(url.pathExtension) else { continue }
            files[name.lastPathComponent] = try Repository.text("Tests/\(path)")
        }
        return files
    }

    @Test("every title is that of a test in the file that is named", arguments: documents)
    func titles(document: String) throws {
        let files = try files()
        for (file, title) in titles(in: try Repository.text(document)) {
            let text = files[file] ?? ""
            let isThere = text.contains("`\(title)`") || text.contains("\"\(title)\"")
            #expect(isThere, "\(document): \(file) has no test «\(title)»")
        }
    }

    @Test("every script and test file that is named is there", arguments: documents)
    func names(document: String) throws {
        let files = try files()
        let text = try Repository.text(document)
        for match in text.matches(of: /`(?:[A-Za-z]+\/)?([A-Z]\w*Tests|[a-z-]+\.sh)`/) {
            let name = String(match.output.1)
            let isTarget = name.hasPrefix("Mirror") || name == "HouseTests"
            #expect(files[name] != nil || isTarget, "\(document): there is no \(name)")
        }
    }

    @Test("the table of QEMU's mirror names tests")
    func finds() throws {
        let found = titles(in: try Repository.text("docs/qemu.md"))
        #expect(found.count > 60)
        #expect(found.contains { $0.file == "JobTests" && $0.title.hasPrefix("a quiet image") })
    }
}
