import Foundation

/// A Swift file as the house tests see it: by lines and names, without a compiler.
///
/// Comments and the contents of strings are blanked out, so that a brace or a name in them counts
/// for nothing.
struct SourceText {
    let path: String
    /// The lines without comments and strings.
    let lines: [String]

    init(path: String, text: String) {
        self.path = path
        lines = Self.code(text).split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
    }

    /// A class, struct, actor, enum or protocol, with what it keeps in itself.
    struct Declaration {
        let name: String
        /// Instance properties that take room in a value; lazy ones too.
        var storedProperties: [String] = []
    }

    /// Everything that looks like a name of a type: words that begin with a capital letter.
    var typeNames: Set<String> {
        Set(lines.flatMap { $0.matches(of: #/\b[A-Z]\w*/#).map { String($0.output) } })
    }

    /// The types that the file declares, nested ones too; extensions declare none.
    var declarations: [Declaration] {
        var reader = DeclarationReader()
        for line in lines { reader.read(line) }
        return reader.found
    }

    /// `text` with every comment and every string literal blanked out; line breaks stay.
    static func code(_ text: String) -> String {
        let forms =
            #/(?s)"""(?:\\.|.)*?"""|\#"(?:.*?)"\#|"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*/#
        return text.replacing(forms) { match in
            let breaks = match.output.filter { $0 == "\n" }
            return match.output.hasPrefix("/") ? breaks : "\"\"" + breaks
        }
    }
}

/// Follows the braces of a file line by line.
private struct DeclarationReader {
    private(set) var found: [SourceText.Declaration] = []

    private enum Scope: Equatable {
        /// Index in `found`.
        case type(Int)
        case other
    }
    private var scopes: [Scope] = []
    /// The type whose opening brace has not come yet.
    private var pending: Int?
    private var openBrackets = 0

    mutating func read(_ line: String) {
        if openBrackets == 0 {
            if let name = Self.declaredType(in: line) {
                found.append(.init(name: name))
                pending = found.count - 1
            } else if case .type(let type) = scopes.last {
                found[type].storedProperties += Self.storedProperties(in: line)
            }
        }
        for character in line { count(character) }
    }

    private mutating func count(_ character: Character) {
        switch character {
        case "(", "[": openBrackets += 1
        case ")", "]": openBrackets -= 1
        case "{":
            scopes.append(pending.map { .type($0) } ?? .other)
            pending = nil
        case "}": _ = scopes.popLast()
        default: break
        }
    }

    private static func declaredType(in line: String) -> String? {
        line.firstMatch(
            of:
                #/^\s*(?:@\S+\s+)*(?:[a-z]+(?:\(\w+\))?\s+)*?(?:class|struct|actor|enum|protocol)\s+([A-Z]\w*)/#
        ).map { String($0.output.1) }
    }

    private static func storedProperties(in line: String) -> [String] {
        let form =
            #/^\s*(?:@[^\s(]+(?:\([^)]*\))?\s+)*((?:[a-z]+(?:\([a-z]+\))?\s+)*?)(?:let|var)\s+(\([^)]*\)|\w+)(.*)$/#
        guard let match = line.firstMatch(of: form) else { return [] }
        let modifiers = match.output.1.split(separator: " ")
        if modifiers.contains("static") || modifiers.contains("class") { return [] }
        if isComputed(match.output.3) { return [] }
        return names(match.output.2, match.output.3)
    }

    /// `: T {` begins a getter; `= make {` does not, nor does an observer.
    private static func isComputed(_ rest: Substring) -> Bool {
        guard let brace = rest.firstIndex(of: "{") else { return false }
        if let value = rest.firstIndex(of: "="), value < brace { return false }
        return !rest.contains("willSet") && !rest.contains("didSet")
    }

    /// What stands between commas that no bracket surrounds.
    private static func outerPieces(_ text: Substring) -> [Substring] {
        var (pieces, start, depth) = ([Substring](), text.startIndex, 0)
        for index in text.indices {
            switch text[index] {
            case "(", "[", "{", "<": depth += 1
            case ")", "]", "}", ">": depth -= 1
            case "," where depth == 0:
                pieces.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        return pieces + [text[start...]]
    }

    /// `(a, b)` are two, and so are `a, b: Int`.
    private static func names(_ pattern: Substring, _ rest: Substring) -> [String] {
        if pattern.hasPrefix("(") {
            return pattern.dropFirst().dropLast().split(separator: ",").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
        }
        return [String(pattern)]
            + outerPieces(rest).dropFirst().compactMap {
                $0.firstMatch(of: /^\s*(\w+)\s*[:=]/).map { String($0.output.1) }
            }
    }
}
