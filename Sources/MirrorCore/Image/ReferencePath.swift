/// Where a name in an image's header leads within the source directory.
///
/// A name is accepted where the twin's copy of the header, opened in a directory of the same
/// layout, leads to the twin's copy of the file: a relative one that stays inside. QEMU takes
/// everything before a first `:` that no `/` precedes for a protocol.
enum ReferencePath: Equatable {
    /// The path in the source directory, without `.`, `..` and doubled slashes.
    case inside([UInt8])
    /// Why not, as the end of a sentence that begins with the name, and what to do about the name.
    case refused(Refusal)

    enum Refusal: Equatable {
        case leaves
        /// Inside the source directory; to be written as the given name to lead there from a twin
        /// too.
        case absolute([UInt8])
        case protocolName
        case notAFile
        case windingPath
    }

    /// - Parameters:
    ///   - name: as it stands in the header.
    ///   - image: path of the image that names it, in the source directory.
    ///   - directories: absolute paths of the source directory.
    init(_ name: [UInt8], from image: [UInt8], directories: [[UInt8]]) {
        let slash = UInt8(ascii: "/")
        var name = name[...]
        if name.starts(with: "file:".utf8) { name = name.dropFirst(5) }
        let home = Self.parts(image).dropLast()
        if name.first == slash {
            self = .refused(Self.absolute(name, from: home, directories))
        } else if name.first(where: { $0 == slash || $0 == UInt8(ascii: ":") }) == UInt8(ascii: ":")
        {
            self = .refused(.protocolName)
        } else if Self.endsInDirectory(name) {
            self = .refused(.notAFile)
        } else {
            self = Self.relative(Self.parts(name), from: home)
        }
    }

    /// `path` without `.` and doubled slashes.
    static func plain(_ path: [UInt8]) -> [UInt8] {
        Array(parts(path).joined(separator: "/".utf8))
    }

    private typealias Part = ArraySlice<UInt8>

    private static func relative(_ parts: [Part], from home: ArraySlice<Part>) -> Self {
        let ups = parts.prefix { $0.elementsEqual("..".utf8) }.count
        guard ups <= home.count else { return .refused(.leaves) }
        let downs = parts.dropFirst(ups)
        // `a/../b` needs a directory `a` that a twin need not have.
        if downs.contains(where: { $0.elementsEqual("..".utf8) }) { return .refused(.windingPath) }
        return .inside(Array((home.dropLast(ups) + downs).joined(separator: "/".utf8)))
    }

    private static func absolute(
        _ name: Part, from home: ArraySlice<Part>, _ directories: [[UInt8]]
    ) -> Refusal {
        let parts = parts(name)
        for directory in directories.map(Self.parts) where parts.starts(with: directory) {
            let rest = parts.dropFirst(directory.count)
            if rest.isEmpty || rest.contains(where: { $0.elementsEqual("..".utf8) }) { continue }
            return .absolute(relativeName(of: rest, from: home))
        }
        return .leaves
    }

    /// `../b/base` for `b/base` named by an image in `a`.
    private static func relativeName(of path: ArraySlice<Part>, from home: ArraySlice<Part>)
        -> [UInt8]
    {
        let common = zip(path.dropLast(), home).prefix { $0 == $1 }.count
        let ups = Array(repeating: Array("..".utf8)[...], count: home.count - common)
        return Array((ups + path.dropFirst(common)).joined(separator: "/".utf8))
    }

    /// The components but for empty ones and `.`.
    private static func parts(_ path: some Collection<UInt8>) -> [Part] {
        Array(path).split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
    }

    /// Whether a name cannot be a file's: empty, or with nothing, `.` or `..` after its last slash.
    private static func endsInDirectory(_ name: Part) -> Bool {
        let parts = name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return ["", ".", ".."].contains { parts.last?.elementsEqual($0.utf8) ?? true }
    }
}
