/// Which file of a target knows which other one, by the names of types.
///
/// A file knows another if it names a type that the other declares and nobody else does. A name
/// that two files declare, such as a nested `State`, says nothing and is left out.
struct FileGraph {
    /// Whom each file knows, by paths.
    let known: [String: Set<String>]

    init(_ files: [SourceText]) {
        var homes: [String: Set<String>] = [:]
        for file in files {
            for declaration in file.declarations {
                homes[declaration.name, default: []].insert(file.path)
            }
        }
        var known: [String: Set<String>] = [:]
        for file in files {
            let others = file.typeNames.compactMap { name in
                homes[name].flatMap { $0.count == 1 ? $0.first : nil }
            }
            known[file.path] = Set(others).subtracting([file.path])
        }
        self.known = known
    }

    /// Two files that know each other, as `A.swift - B.swift`, in order.
    var mutualPairs: [String] {
        known.flatMap { path, others in
            others.filter { path < $0 && known[$0, default: []].contains(path) }
                .map { "\(Self.name(path)) - \(Self.name($0))" }
        }.sorted()
    }

    private static func name(_ path: String) -> Substring {
        path.split(separator: "/").last!
    }
}
