/// The modules that a Swift file imports, in whatever form the line is written.
///
/// `@preconcurrency public import struct A.B` gives `A`. Comments are left out; a string that looks
/// like an import at the start of a line of its own would be taken for one.
func importedModules(in source: String) -> [String] {
    withoutComments(source).split(whereSeparator: { $0.isNewline || $0 == ";" })
        .compactMap { importedModule(in: $0) }
}

private let kinds: Set<Substring> = [
    "struct", "class", "enum", "protocol", "typealias", "func", "let", "var", "actor", "macro",
]
private let levels: Set<Substring> = [
    "public", "package", "internal", "fileprivate", "private", "open",
]

private func importedModule(in line: Substring) -> String? {
    // `@_spi(Some thing)` is one word once its blanks are gone.
    let line = line.replacing(/@[A-Za-z_]+\s*(\([^)]*\))?/, with: " ")
    var words = line.split(whereSeparator: \.isWhitespace)[...]
    while let first = words.first, levels.contains(first) { words.removeFirst() }
    guard words.popFirst() == "import" else { return nil }
    if let kind = words.first, kinds.contains(kind) { words.removeFirst() }
    return words.first?.split(separator: ".").first.map(String.init)
}

private func withoutComments(_ source: String) -> String {
    source.replacing(/(?s)\/\*.*?\*\//, with: " ").replacing(/\/\/[^\n]*/, with: "")
}
