import Foundation
import Testing

@Suite("Documented paths")
struct DocumentedPaths {
    @Test(
        "every Swift file that a document names exists",
        arguments: ["architecture", "invariants", "state", "reliability"])
    func exist(document: String) throws {
        let files = try Repository.trackedFiles().filter { $0.hasSuffix(".swift") }
        let names = Set(files.map { String($0.split(separator: "/").last!) })
        for match in try Repository.text("docs/\(document).md").matches(
            of: /[A-Za-z0-9+\/]+\.swift/)
        {
            let path = String(match.output)
            let isThere =
                path.contains("/")
                ? ["Sources/", "Tests/", ""].contains { files.contains($0 + path) }
                : names.contains(path)
            #expect(isThere, "\(document).md names \(path)")
        }
    }
}
