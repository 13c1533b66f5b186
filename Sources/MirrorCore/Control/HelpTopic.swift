/// What `twinfs help WORD` prints beside the help of commands. Lines end at column 80.
public enum HelpTopic: String, CaseIterable, Sendable {
    case parameters
    case exitCodes = "exit-codes"
    case files

    public var text: String {
        switch self {
        case .parameters: Parameter.all.map(\.help).joined(separator: "\n\n") + "\n"
        case .exitCodes: Self.list(ExitReason.allCases.map { ("\($0.rawValue)", $0.meaning) }, 4)
        case .files: Self.list(ControlFiles.all.map { (".mirror/" + $0.name, $0.meaning) }, 32)
        }
    }

    /// Names in a column of `width`, and beside each its sentence.
    private static func list(_ rows: [(String, String)], _ width: Int) -> String {
        rows.map { name, meaning in
            let lines = wrapped(Parameter.plain(meaning), indent: width)
            let start = name + String(repeating: " ", count: max(1, width - name.count))
            return start + lines.dropFirst(width) + "\n"
        }.joined()
    }

    /// The words of `text` in lines of at most 80 columns that begin with `indent` blanks.
    static func wrapped(_ text: String, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + 1 + word.count <= 80 {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(margin + word)
            }
        }
        return lines.joined(separator: "\n")
    }
}

extension Parameter {
    fileprivate var help: String {
        let live = isLive ? ", live (set changes it in a running job)" : ""
        let values = Self.plain("Values: \(values), e.g. \(example)")
        return [
            "\(key.rawValue): default \(Self.plain(standard))\(live)",
            HelpTopic.wrapped(values, indent: 4),
            HelpTopic.wrapped(Self.plain(meaning), indent: 4),
        ].joined(separator: "\n")
    }

    /// The row of the table in docs/control.md.
    public var markdown: String {
        let live = isLive ? " *live*" : ""
        return "| `\(key.rawValue)` | \(standard) | \(values) | \(meaning)\(live) | `\(example)` |"
    }
}
