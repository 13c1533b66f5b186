/// An image and every file that it needs: what `sync=full` mirrors.
///
/// References are followed through the headers of the files themselves, each relative to the
/// directory of the file that names it. A twin of the members in the same relative layout opens
/// without any edit; what would not is refused.
public struct ImageClosure: Hashable, Sendable {
    /// The most files that a job takes.
    public static let mostMembers = 256

    /// One file of the closure.
    public struct Member: Hashable, Sendable {
        /// Relative to the source directory, without `.`, `..` and doubled slashes.
        public let path: [UInt8]
        /// What it is to the member that names it first; nil for the named image.
        public let kind: ImageReference.Kind?
    }

    /// The named image first, each other file once, after the first one that names it.
    public let members: [Member]

    /// What may lie at a path.
    public enum Presence: Hashable, Sendable {
        case file
        case missing
        /// What is wrong with it, as the end of a sentence: `is a directory`.
        case unusable(String)
    }

    /// The source directory. Every path is relative to it and leads down only.
    public struct Source {
        /// The absolute paths under which the source directory is known: its own and the
        /// mountpoint.
        public let directories: [[UInt8]]
        public let look: (_ path: [UInt8]) -> Presence
        /// As `ImageHeader.init(read:)` wants it, of the file at a path.
        public let read: (_ path: [UInt8], _ offset: UInt64, _ count: Int) -> [UInt8]?

        public init(
            directories: [[UInt8]], look: @escaping (_ path: [UInt8]) -> Presence,
            read: @escaping (_ path: [UInt8], _ offset: UInt64, _ count: Int) -> [UInt8]?
        ) {
            self.directories = directories
            self.look = look
            self.read = read
        }
    }

    /// Finds the members, reading each header once.
    ///
    /// - Parameters:
    ///   - image: path of the image, relative to the source directory, without `..`.
    ///   - source: where to look.
    /// - Throws: `not-supported` with the reference, why it cannot be taken along, and what to do.
    public init(of image: [UInt8], in source: Source) throws(CommandError) {
        var walk = Walk(image: ReferencePath.plain(image), source: source)
        try walk.visit(walk.image)
        members = walk.members
    }
}

/// Depth first. `mostMembers` bounds the depth as well.
private struct Walk {
    let image: [UInt8]
    let source: ImageClosure.Source
    private(set) var members: [ImageClosure.Member]
    private var known: Set<[UInt8]>
    /// Files whose header has been read; a file may be known before, by a reference that takes it
    /// for plain sectors.
    private var visited: Set<[UInt8]> = []
    /// The files from the named image to the one that is looked at.
    private var ancestors: [[UInt8]] = []

    init(image: [UInt8], source: ImageClosure.Source) {
        (self.image, self.source) = (image, source)
        members = [.init(path: image, kind: nil)]
        known = [image]
    }

    mutating func visit(_ path: [UInt8]) throws(CommandError) {
        guard visited.insert(path).inserted else { return }
        ancestors.append(path)
        for reference in try references(of: path) {
            guard let next = try resolve(reference, from: path) else { continue }
            try add(next, reference)
            if reference.mayRefer { try visit(next) }
        }
        ancestors.removeLast()
    }

    private func references(of path: [UInt8]) throws(CommandError) -> [ImageReference] {
        let read = source.read
        switch ImageHeader(read: { offset, count in read(path, offset, count) }) {
        case .refersTo(let references): return references
        case .unreadable(let why):
            let whose = path == image ? "" : "it needs \(NameText.shown(path)): "
            throw refused("\(whose)\(why); \(ImageClosure.wayOut)")
        }
    }

    private mutating func add(
        _ path: [UInt8], _ reference: ImageReference
    ) throws(CommandError) {
        guard known.insert(path).inserted else { return }
        guard members.count < ImageClosure.mostMembers else {
            throw refused(
                "it needs more than \(ImageClosure.mostMembers) files; \(ImageClosure.wayOut)")
        }
        members.append(.init(path: path, kind: reference.kind))
    }

    /// Where the reference leads; nil where the image does without.
    private func resolve(
        _ reference: ImageReference, from path: [UInt8]
    ) throws(CommandError) -> [UInt8]? {
        switch ReferencePath(reference.name, from: path, directories: source.directories) {
        case .refused(let refusal):
            if !reference.isRequired { return nil }
            throw refused(reference, from: path, refusal.words(for: reference.kind))
        case .inside(let next):
            if ancestors.contains(next) {
                throw refused(
                    reference, from: path, "refers to itself; mend the header (qemu-img rebase -u)")
            }
            let presence = known.contains(next) ? .file : source.look(next)
            if presence == .file { return next }
            if !reference.isRequired { return nil }
            throw refused(reference, from: path, presence.words(at: next))
        }
    }

    private func refused(
        _ reference: ImageReference, from path: [UInt8], _ words: String
    ) -> CommandError {
        let whose = path == image ? "" : " of \(NameText.shown(path))"
        return refused("the \(reference.shown)\(whose) \(words)")
    }

    private func refused(_ words: String) -> CommandError {
        CommandError(.notSupported, "image \(NameText.shown(image)): \(words)")
    }
}

extension ImageClosure {
    /// What always helps.
    fileprivate static let wayOut = "use sync=top to mirror the image alone"
}

extension ReferencePath.Refusal {
    /// The end of a sentence about a name of that kind, and what to do.
    fileprivate func words(for kind: ImageReference.Kind) -> String {
        let wayOut = ImageClosure.wayOut
        switch self {
        case .leaves:
            return "leaves the source directory; \(wayOut), or move the file into the source"
                + " directory and name it relatively\(Self.command(kind, nil))"
        case .absolute(let name):
            return
                "is an absolute path, so that the twin would go on using the original; \(wayOut),"
                + " or name it \(NameText.shown(name))\(Self.command(kind, name))"
        case .protocolName:
            return "is not a plain file name; \(wayOut),"
                + " or name a file relatively\(Self.command(kind, nil))"
        case .notAFile:
            return "does not name a file; \(wayOut), or mend the name\(Self.command(kind, nil))"
        case .windingPath:
            return
                "goes down into a directory and up again, and a twin need not have it; \(wayOut),"
                + " or name it directly\(Self.command(kind, nil))"
        }
    }

    /// What gives an image another name for such a file; empty where QEMU has no command for it.
    private static func command(_ kind: ImageReference.Kind, _ name: [UInt8]?) -> String {
        let name = name.map { NameText.shown($0) } ?? "NAME"
        return switch kind {
        case .backingFile: " (qemu-img rebase -u -b \(name))"
        case .dataFile: " (qemu-img amend -o data_file=\(name))"
        case .extent, .parent, .changeTracking: ""
        }
    }
}

extension ImageClosure.Presence {
    fileprivate func words(at path: [UInt8]) -> String {
        let what =
            switch self {
            case .file: "is there"
            case .missing: "does not exist"
            case .unusable(let words): words
            }
        return "leads to \(NameText.shown(path)), which \(what); \(ImageClosure.wayOut),"
            + " or put the file there"
    }
}
