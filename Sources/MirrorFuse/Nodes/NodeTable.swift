import CFuse
import MirrorSystem
import Synchronization
import SystemPackage

/// Every node that the kernel knows. The records hold what a restarted worker needs to find the files
/// again: number, identity, parent and name.
///
/// Numbers count up from the root's 1 and are never used twice. Names that are hard links of one file
/// share a node; the record has the name that was seen last.
final class NodeTable: Sendable {
    struct Record {
        let node: Node
        var parent: UInt64
        /// Bytes, in no encoding; empty for the root and for a name that is gone.
        var name: [UInt8]
        /// Look-ups that the kernel has not taken back by FORGET.
        var lookups: UInt64
    }

    fileprivate struct State {
        var records: [UInt64: Record] = [:]
        var numbers: [FileIdentity: UInt64] = [:]
        var next: UInt64 = UInt64(FUSE_ROOT_ID) + 1
    }

    /// Leaf lock: no system call and no call out under it.
    private let state: Mutex<State>
    let root: Node

    init(root: FileDescriptor, attributes: FileAttributes) {
        let id = UInt64(FUSE_ROOT_ID)
        let node = Node(id: id, descriptor: root, attributes: attributes)
        self.root = node
        var first = State()
        first.records[id] = Record(node: node, parent: id, name: [], lookups: 1)
        first.numbers[node.identity] = id
        state = Mutex(first)
    }

    /// - Throws: `.staleNFSFileHandle` where the number is not known.
    func node(_ id: UInt64) throws(Errno) -> Node {
        if id == root.id { return root }
        guard let node = state.withLock({ $0.records[id]?.node }) else {
            throw .staleNFSFileHandle
        }
        return node
    }

    /// Counts a look-up of the file that `descriptor` holds, under this name. The descriptor is kept,
    /// or closed where the file is known already.
    func remember(
        _ descriptor: FileDescriptor, _ attributes: FileAttributes, _ parent: UInt64,
        _ name: [UInt8]
    ) -> Node {
        let identity = attributes.identity
        let (node, isNew) = state.withLock { state in
            state.remember(identity, parent, name) { id in
                Node(id: id, descriptor: descriptor, attributes: attributes)
            }
        }
        if !isNew { try? descriptor.close() }
        return node
    }

    /// Takes `count` look-ups back; the node goes with its last one.
    func forget(_ id: UInt64, _ count: UInt64) {
        // The node's end, which closes a descriptor, must come after the lock.
        _ = state.withLock { $0.forget(id, count) }
    }

    /// The path of a node, relative to the source; empty for the root. A name that is gone is left
    /// standing as it was last seen.
    func path(of id: UInt64) -> FilePath {
        FilePath(bytes: state.withLock { $0.path(of: id) })
    }

    /// The path of the entry `name` of a directory.
    func path(of name: [UInt8], in parent: UInt64) -> FilePath {
        FilePath(bytes: state.withLock { $0.path(of: parent) } + [name])
    }

    /// The file with this identity is called `name` in `parent` now.
    func moved(_ identity: FileIdentity, _ parent: UInt64, _ name: [UInt8]) {
        state.withLock { state in
            guard let id = state.numbers[identity] else { return }
            state.records[id]?.parent = parent
            state.records[id]?.name = name
        }
    }
}

extension NodeTable.State {
    fileprivate mutating func remember(
        _ identity: FileIdentity, _ parent: UInt64, _ name: [UInt8], _ make: (UInt64) -> Node
    ) -> (Node, isNew: Bool) {
        if let id = numbers[identity], var record = records[id] {
            record.lookups += 1
            if id != UInt64(FUSE_ROOT_ID) { (record.parent, record.name) = (parent, name) }
            records[id] = record
            return (record.node, false)
        }
        let node = make(next)
        next += 1
        records[node.id] = NodeTable.Record(node: node, parent: parent, name: name, lookups: 1)
        numbers[identity] = node.id
        return (node, true)
    }

    fileprivate mutating func forget(_ id: UInt64, _ count: UInt64) -> Node? {
        guard id != UInt64(FUSE_ROOT_ID), var record = records[id] else { return nil }
        record.lookups -= min(count, record.lookups)
        records[id] = record
        guard record.lookups == 0 else { return nil }
        records[id] = nil
        numbers[record.node.identity] = nil
        return record.node
    }

    /// The names from the root down. The kernel keeps every directory above a file that is in use.
    /// Directories moved behind the mount can make the records point in a circle; no path is that deep.
    fileprivate func path(of id: UInt64) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var current = id
        while current != UInt64(FUSE_ROOT_ID), names.count < 4096, let record = records[current] {
            names.append(record.name)
            current = record.parent
        }
        return names.reversed()
    }
}

extension FilePath {
    /// A path of these names, which are bytes in no encoding.
    fileprivate init(bytes names: [[UInt8]]) {
        let text = Array(names.joined(separator: [UInt8(ascii: "/")])) + [0]
        self = text.withUnsafeBytes { bytes in
            FilePath(
                platformString: bytes.assumingMemoryBound(to: CInterop.PlatformChar.self)
                    .baseAddress!)
        }
    }
}
