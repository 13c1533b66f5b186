import Foundation
import Testing

/// A request that is served must have a word on being served twice.
@Suite("Requests that are done twice")
struct RepeatedRequestsTests {
    /// Request by request: whether the table says that it is journalled.
    private func table() throws -> [String: Bool] {
        let text = try Repository.text("docs/reliability.md")
        let section = text.components(separatedBy: "## Requests that are done twice").last!
            .components(separatedBy: "\n## ").first!
        var rows: [String: Bool] = [:]
        for line in section.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|")
            for name in cells[0].matches(of: /`([A-Z0-9_]+)`/) {
                rows[String(name.output.1)] = cells[1].contains("journalled")
            }
        }
        return rows
    }

    /// What the kernel calls the operations of libfuse that are set.
    private func served() throws -> Set<String> {
        let text = try Repository.text("Sources/MirrorFuse/Callbacks.swift")
        let words = ["FORGET_MULTI": "BATCH_FORGET"]
        return Set(
            text.matches(of: #/operations\.`?([a-z_]+)`? = /#).map {
                let name = $0.output.1.uppercased()
                return words[name] ?? name
            })
    }

    @Test("every request that is served stands in the table")
    func complete() throws {
        let table = try table()
        let served = try served()
        #expect(served.count > 30)
        for request in served { #expect(table[request] != nil, "\(request) is missing") }
    }

    @Test("the table and the journal agree")
    func agree() throws {
        let text = try Repository.text("Sources/MirrorFuse/Session/Repeats.swift")
        let journalled = Set(
            text.matches(of: /FUSE_([A-Z0-9]+)\.rawValue/).map { String($0.output.1) })
        #expect(journalled.count > 10)
        let told = Set(try table().filter(\.value).keys)
        #expect(told == journalled)
    }
}
