import CFuse
import MirrorSystem
import Synchronization
import SystemPackage

/// Every node that the kernel knows. Each has a record in kept memory with what a successor needs
/// to find the file again: number, identity, parent, name and look-ups.
///
/// Numbers count up from the root's 1 and are never used twice. Names that are hard links of one
/// file share a node; the record has the name that was seen last.
final class NodeTable: Sendable {
    struct Record {
        /// Nil where a predecessor's node was not found again.
        let node: Node?
        var parent: UInt64
        /// Bytes, in no encoding; empty for the root and for a name that is gone.
        var name: [UInt8]
        /// Look-ups that the kernel has not taken back by FORGET.
        var lookups: UInt64
        /// Place of its kept record; nil for the root, and where every place is taken: such a node
        /// does not outlive this process.
        let slot: Int?
    }

    fileprivate struct State {
        var records: [UInt64: Record] = [:]
        var numbers: [FileIdentity: UInt64] = [:]
        var free: FreeSlots
        let kept: NodeRecords
        let last: SharedWord
    }

    /// Leaf lock: no system call and no call out under it.
    private let state: Mutex<State>
    let root: Node

    /// - Parameter last: the newest number that was given out, kept; 0 before the first.
    init(
        root: FileDescriptor, attributes: FileAttributes, kept: NodeRecords, last: SharedWord
    ) {
        let id = UInt64(FUSE_ROOT_ID)
        let node = Node(id: id, descriptor: root, attributes: attributes)
        self.root = node
        let used = Set(kept.all.map(\.slot))
        var first = State(
            free: FreeSlots(capacity: kept.capacity, high: kept.usedCount, used: used),
            kept: kept, last: last)
        first.records[id] = Record(node: node, parent: id, name: [], lookups: 1, slot: nil)
        first.numbers[node.identity] = id
        if last.value == 0 { last.set(id) }
        state = Mutex(first)
    }

    /// A predecessor's node; nil as `node` where the file was not found again: the kernel then gets
    /// ESTALE, and looks it up anew.
    func restore(_ entry: NodeRecords.Entry, at slot: Int, _ node: Node?) {
        state.withLock { state in
            state.records[entry.number] = Record(
                node: node, parent: entry.parent, name: entry.name, lookups: entry.lookups,
                slot: slot)
            if node != nil { state.numbers[entry.identity] = entry.number }
        }
    }

    /// Keeps that flushes of this file fail until its last handle is closed; 0 that they do not.
    func setFlushFailure(_ error: Int32, of id: UInt64) {
        state.withLock { state in
            guard let slot = state.records[id]?.slot else { return }
            state.kept.setFlushFailure(error, at: slot)
        }
    }

    /// - Throws: `.staleNFSFileHandle` where the number is not known.
    func node(_ id: UInt64) throws(Errno) -> Node {
        if id == root.id { return root }
        guard let node = state.withLock({ $0.records[id]?.node }) else {
            throw .staleNFSFileHandle
        }
        return node
    }

    /// Counts a look-up of the file that `descriptor` holds, under this name. The descriptor is
    /// kept, or closed where the file is known already.
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
            if let slot = state.records[id]?.slot { state.kept.setName(parent, name, at: slot) }
        }
    }
}

extension NodeTable.State {
    fileprivate mutating func remember(
        _ identity: FileIdentity, _ parent: UInt64, _ name: [UInt8], _ make: (UInt64) -> Node
    ) -> (Node, isNew: Bool) {
        if let id = numbers[identity], var record = records[id], let node = record.node {
            record.lookups += 1
            if let slot = record.slot { kept.setLookups(record.lookups, at: slot) }
            if id != UInt64(FUSE_ROOT_ID) { rename(&record, parent, name) }
            records[id] = record
            return (node, false)
        }
        let node = make(last.next())
        let slot = free.take()
        records[node.id] = NodeTable.Record(
            node: node, parent: parent, name: name, lookups: 1, slot: slot)
        numbers[identity] = node.id
        let entry = NodeRecords.Entry(
            number: node.id, identity: identity, lookups: 1, parent: parent, name: name)
        if let slot { kept.write(entry, at: slot) }
        return (node, true)
    }

    private func rename(_ record: inout NodeTable.Record, _ parent: UInt64, _ name: [UInt8]) {
        if record.parent == parent, record.name == name { return }
        (record.parent, record.name) = (parent, name)
        if let slot = record.slot { kept.setName(parent, name, at: slot) }
    }

    fileprivate mutating func forget(_ id: UInt64, _ count: UInt64) -> Node? {
        guard id != UInt64(FUSE_ROOT_ID), var record = records[id] else { return nil }
        record.lookups -= min(count, record.lookups)
        if let slot = record.slot { kept.setLookups(record.lookups, at: slot) }
        records[id] = record
        guard record.lookups == 0 else { return nil }
        records[id] = nil
        if let slot = record.slot {
            kept.clear(slot)
            free.give(slot)
        }
        if let node = record.node, numbers[node.identity] == id { numbers[node.identity] = nil }
        return record.node
    }

    /// The names from the root down. The kernel keeps every directory above a file that is in use.
    /// Directories moved behind the mount can make the records point in a circle; no path is that
    /// deep.
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
