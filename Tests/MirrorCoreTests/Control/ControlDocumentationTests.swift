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

    @Test("lists every exit code with its sentence", arguments: ExitReason.allCases)
    func exitCodes(reason: ExitReason) {
        #expect(text.contains("| \(reason.rawValue) | \(reason.meaning) |\n"))
    }

    @Test("lists every error code", arguments: CommandError.Code.allCases)
    func errors(code: CommandError.Code) { #expect(text.contains("`\(code.rawValue)`")) }

    @Test("lists every parameter and command")
    func words() {
        for key in ParameterKey.allCases {
            #expect(text.contains("| `\(key.rawValue)` |"), "\(key)")
        }
        for verb in Command.Verb.allCases { #expect(text.contains("`\(verb.rawValue)"), "\(verb)") }
        #expect(text.contains("at most \(ControlLine.maxBytes) bytes"))
    }
}
