import FoundationEssentials
import MirrorCore
import Testing

@Suite("docs/control.md")
struct ControlDocumentationTests {
    let text: String

    init() throws {
        let root = #filePath.components(separatedBy: "/Tests/")[0]
        text = String(
            decoding: try Data(contentsOf: URL(filePath: root + "/docs/control.md")), as: UTF8.self)
    }

    @Test("docs/control.md lists every exit code with its sentence", arguments: ExitReason.allCases)
    func exitCodes(reason: ExitReason) {
        #expect(text.contains("| \(reason.rawValue) | \(reason.meaning) |\n"))
    }

    @Test("docs/control.md lists every error code", arguments: CommandError.Code.allCases)
    func errors(code: CommandError.Code) { #expect(text.contains("`\(code.rawValue)`")) }

    @Test("docs/control.md lists every command")
    func words() {
        for verb in Command.Verb.allCases {
            let isListed = ["`\(verb.rawValue) ", "`\(verb.rawValue)`"].contains {
                text.contains($0)
            }
            #expect(isListed, "\(verb)")
        }
        #expect(text.contains("at most \(ControlLine.maxBytes) bytes"))
    }

    @Test(
        "docs/control.md gives every parameter's default, and an example that is valid",
        arguments: ParameterKey.allCases)
    func parameters(key: ParameterKey) throws {
        let row = text.split(separator: "\n").first { $0.hasPrefix("| `\(key.rawValue)` |") }
        let cells = try #require(row).split(separator: "|").map { $0.filter { $0 != " " } }
        try #require(cells.count == 5)
        let standard = cells[1].filter { $0 != "`" }
        if key != .target, standard != "none" {
            let option = ParameterPair(key, standard)
            #expect(try JobParameters(parsing: [option]) == JobParameters())
        }
        #expect(try #require(row) == key.row.markdown[...])
        #expect(try #require(row).contains("*live*") == ParameterChange.keys.contains(key))
        let example = cells[4].filter { $0 != "`" }
        let options = (ParameterRow.row(key).with + [example]).map { ParameterPair(option: $0) }
        let parameters = try JobParameters(parsing: options)
        #expect(parameters.shown(key) != JobParameters().shown(key), "\(example)")
    }

    @Test("docs/control.md lists every file under .mirror with its sentence")
    func files() {
        for file in ControlFiles.all {
            #expect(text.contains("| `\(file.name)` | \(file.meaning) |\n"))
        }
    }

    @Test("docs/control.md says what set changes")
    func changes() {
        let row = text.split(separator: "\n").first { $0.hasPrefix("| `set ") } ?? ""
        let keys = ParameterChange.keys.map { "`\($0.rawValue)`" }.joined(separator: ", ")
        #expect(row.hasSuffix("| \(keys) |"))
    }
}
