import MirrorEngine
import MirrorSystem
import Synchronization
import SystemPackage

/// The nodes of `.mirror` that the kernel knows.
///
/// A file gets a new node with each look-up, made with the content of that moment. Directories,
/// and `control`, whose content belongs to the handle, keep theirs while the kernel knows it.
final class ControlTable: Sendable {
    fileprivate struct State {
        var nodes: [UInt64: (node: ControlNode, lookups: UInt64, slot: Int?)] = [:]
        var lasting: [ControlFile: UInt64] = [:]
        var free: FreeSlots
        /// Their records; as name they have the path within `.mirror`.
        let kept: NodeRecords
    }

    private let engine: Engine
    /// Leaf lock: nothing is called under it.
    private let state: Mutex<State>

    /// The newest number that was given out, kept, so that no successor gives it again.
    private let last: SharedWord

    init(_ engine: Engine, _ kept: NodeRecords, _ last: SharedWord) {
        self.engine = engine
        let used = Set(kept.all.map(\.slot))
        let free = FreeSlots(capacity: kept.capacity, high: kept.usedCount, used: used)
        state = Mutex(State(free: free, kept: kept))
        self.last = last
        if last.value == 0 { last.set(ControlNumber.first) }
    }

    static let name = Array(".mirror".utf8)

    static func isName(_ text: UnsafePointer<CChar>) -> Bool {
        for (index, byte) in name.enumerated() where UInt8(bitPattern: text[index]) != byte {
            return false
        }
        return text[name.count] == 0
    }

    /// The entry that the root shows.
    func rootEntry(_ identity: MountIdentity) -> (name: [UInt8], attributes: FileAttributes) {
        (Self.name, ControlFile.root.attributes(identity, controlGroup: nil))
    }

    /// - Throws: `.staleNFSFileHandle` where the number is not known.
    func node(_ id: UInt64) throws(Errno) -> ControlNode {
        guard let node = state.withLock({ $0.nodes[id]?.node }) else { throw .staleNFSFileHandle }
        return node
    }

    func attributes(of id: UInt64, _ identity: MountIdentity) throws(Errno) -> FileAttributes {
        try node(id).attributes
    }

    /// Looks up a name; the root of `.mirror` where `parent` is nil.
    func lookUp(
        _ name: [UInt8], in parent: UInt64?, _ identity: MountIdentity
    ) throws(Errno) -> ControlNode {
        guard let parent else { return remember(.root, [], identity) }
        let directory = try node(parent)
        guard let file = engine.lookUp(name, in: directory.file) else {
            throw .noSuchFileOrDirectory
        }
        let slash = directory.path.isEmpty ? [] : [UInt8(ascii: "/")]
        return remember(file, directory.path + slash + name, identity)
    }

    private func remember(
        _ file: ControlFile, _ path: [UInt8], _ identity: MountIdentity
    ) -> ControlNode {
        let known = state.withLock { $0.countKnown(file) }
        if let known { return known }
        let node = ControlNode(last.next(), file, path, engine, identity)
        return state.withLock { $0.insert(node) }
    }

    /// Makes a predecessor's nodes anew, with the content of now. One whose job is gone stays
    /// unknown.
    ///
    /// - Parameter read: how far `events` was read, by node: it goes on there with what happens
    ///   from now on.
    func restore(_ identity: MountIdentity, read: [UInt64: Int]) {
        for (slot, entry) in state.withLock({ $0.kept.all }) {
            var file: ControlFile? = .root
            for name in entry.name.split(separator: UInt8(ascii: "/")) {
                file = file.flatMap { engine.lookUp(Array(name), in: $0) }
            }
            let node = file.map {
                ControlNode(
                    entry.number, $0, entry.name, engine, identity,
                    eventsFrom: read[entry.number] ?? 0)
            }
            state.withLock { $0.restore(node, entry.lookups, slot) }
        }
    }

    func forget(_ id: UInt64, _ count: UInt64) {
        _ = state.withLock { $0.forget(id, count) }
    }
}

extension ControlTable.State {
    fileprivate mutating func countKnown(_ file: ControlFile) -> ControlNode? {
        guard let id = lasting[file] else { return nil }
        nodes[id]?.lookups += 1
        if let known = nodes[id], let slot = known.slot { kept.setLookups(known.lookups, at: slot) }
        return nodes[id]?.node
    }

    /// The node, or the one that somebody else made for the same lasting file meanwhile.
    fileprivate mutating func insert(_ node: ControlNode) -> ControlNode {
        if let known = countKnown(node.file) { return known }
        let slot = node.path.count <= NodeRecords.longestName ? free.take() : nil
        nodes[node.id] = (node, 1, slot)
        let entry = NodeRecords.Entry(
            number: node.id, identity: FileIdentity(device: 0, inode: 0), lookups: 1, parent: 0,
            name: node.path)
        if let slot { kept.write(entry, at: slot) }
        if node.file.isDirectory || node.file == .control { lasting[node.file] = node.id }
        return node
    }

    fileprivate mutating func restore(_ node: ControlNode?, _ lookups: UInt64, _ slot: Int) {
        guard let node else {
            kept.clear(slot)
            return free.give(slot)
        }
        nodes[node.id] = (node, lookups, slot)
        if node.file.isDirectory || node.file == .control { lasting[node.file] = node.id }
    }

    fileprivate mutating func forget(_ id: UInt64, _ count: UInt64) -> ControlNode? {
        guard let known = nodes[id] else { return nil }
        let left = known.lookups - min(count, known.lookups)
        nodes[id]?.lookups = left
        if let slot = known.slot { kept.setLookups(left, at: slot) }
        guard left == 0 else { return nil }
        nodes[id] = nil
        if let slot = known.slot {
            kept.clear(slot)
            free.give(slot)
        }
        if lasting[known.node.file] == id { lasting[known.node.file] = nil }
        return known.node
    }
}
