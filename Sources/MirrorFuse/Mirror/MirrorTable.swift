import MirrorEngine
import MirrorSystem
import Synchronization
import SystemPackage

/// The nodes of `.mirror` that the kernel knows.
///
/// A file gets a new node with each look-up, made with the content of that moment. Directories,
/// and `control`, whose content belongs to the handle, keep theirs while the kernel knows it.
final class MirrorTable: Sendable {
    fileprivate struct State {
        var nodes: [UInt64: (node: MirrorNode, lookups: UInt64)] = [:]
        var lasting: [MirrorFile: UInt64] = [:]
        var next = MirrorNumber.first
    }

    private let engine: Engine
    /// Leaf lock: nothing is called under it.
    private let state = Mutex(State())

    init(_ engine: Engine) { self.engine = engine }

    static let name = Array(".mirror".utf8)

    static func isName(_ text: UnsafePointer<CChar>) -> Bool {
        for (index, byte) in name.enumerated() where UInt8(bitPattern: text[index]) != byte {
            return false
        }
        return text[name.count] == 0
    }

    /// The entry that the root shows.
    func rootEntry(_ identity: MountIdentity) -> (name: [UInt8], attributes: FileAttributes) {
        (Self.name, MirrorFile.root.attributes(identity, controlGroup: nil))
    }

    /// - Throws: `.staleNFSFileHandle` where the number is not known.
    func node(_ id: UInt64) throws(Errno) -> MirrorNode {
        guard let node = state.withLock({ $0.nodes[id]?.node }) else { throw .staleNFSFileHandle }
        return node
    }

    func attributes(of id: UInt64, _ identity: MountIdentity) throws(Errno) -> FileAttributes {
        try node(id).attributes
    }

    /// Looks up a name; the root of `.mirror` where `parent` is nil.
    func lookUp(
        _ name: [UInt8], in parent: UInt64?, _ identity: MountIdentity
    ) throws(Errno) -> MirrorNode {
        guard let parent else { return remember(.root, identity) }
        guard let file = engine.lookUp(name, in: try node(parent).file) else {
            throw .noSuchFileOrDirectory
        }
        return remember(file, identity)
    }

    private func remember(_ file: MirrorFile, _ identity: MountIdentity) -> MirrorNode {
        let known = state.withLock { $0.countKnown(file) }
        if let known { return known }
        let id = state.withLock { $0.takeNumber() }
        let node = MirrorNode(id, file, engine, identity)
        return state.withLock { $0.insert(node) }
    }

    func forget(_ id: UInt64, _ count: UInt64) {
        _ = state.withLock { $0.forget(id, count) }
    }
}

extension MirrorTable.State {
    fileprivate mutating func countKnown(_ file: MirrorFile) -> MirrorNode? {
        guard let id = lasting[file] else { return nil }
        nodes[id]?.lookups += 1
        return nodes[id]?.node
    }

    fileprivate mutating func takeNumber() -> UInt64 {
        defer { next += 1 }
        return next
    }

    /// The node, or the one that somebody else made for the same lasting file meanwhile.
    fileprivate mutating func insert(_ node: MirrorNode) -> MirrorNode {
        if let known = countKnown(node.file) { return known }
        nodes[node.id] = (node, 1)
        if node.file.isDirectory || node.file == .control { lasting[node.file] = node.id }
        return node
    }

    fileprivate mutating func forget(_ id: UInt64, _ count: UInt64) -> MirrorNode? {
        guard let known = nodes[id] else { return nil }
        let left = known.lookups - min(count, known.lookups)
        nodes[id]?.lookups = left
        guard left == 0 else { return nil }
        nodes[id] = nil
        if lasting[known.node.file] == id { lasting[known.node.file] = nil }
        return known.node
    }
}
