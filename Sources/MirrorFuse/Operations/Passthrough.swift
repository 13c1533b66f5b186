import CFuse
import MirrorEngine
import MirrorImage
import MirrorState
import MirrorSystem
import Synchronization
import SystemPackage

// Read-only opens that the kernel serves by itself, from the backing file (`OpenMode` has the
// rules). The image stays pinned from the first such open to the last RELEASE of the node: no job
// starts on it.

extension Session {
    /// Counts an open of a node; how to answer it.
    func join(_ file: OpenFile) -> OpenMode.Answer {
        let offered = offerBacking(file)
        let writes = file.flags.writes
        let (answer, taken) = file.node.opening.withLock { mode in
            let first = mode.isIdle
            return (mode.join(writes: writes, offered: offered), first)
        }
        if let offered, !taken || writes { withdraw(offered, file.image) }
        keep(file.node)
        return answer
    }

    /// Counts an open out.
    func leave(_ file: OpenFile) {
        let unused = file.node.opening.withLock { $0.leave(writes: file.flags.writes) }
        if let backing = unused.backing { withdraw(backing, file.image) }
        if let name = unused.keptName {
            nodes.setFlushFailure(0, of: file.node.id)
            keeper.drop(name)
        }
    }

    /// With the first open the keeper gets the file, so that a successor finds it when it has
    /// another name by then, or none. The name is never used twice: what the last RELEASE drops is
    /// not the next open's.
    func keep(_ node: Node) {
        let name = KeptOpen.name(of: node.id, kept.files.newSerial())
        let isFirst = node.opening.withLock { $0.keeps(as: name) }
        if isFirst { keeper.keep(node.descriptor, as: name) }
    }

    /// A backing id for the case that this open is the node's first. Made before the lock is taken
    /// (R6), so it may turn out not to be needed.
    private func offerBacking(_ file: OpenFile) -> Int32? {
        guard offer.passthrough, !file.flags.writes else { return nil }
        if engine.serving.backing(of: file.image.identity)?.isDevice == true { return nil }
        guard isGolden(file.node) else { return nil }
        guard file.node.opening.withLock({ $0.isIdle }), file.image.pin() else { return nil }
        let id = cfuse_backing_open(device, file.descriptor.rawValue)
        if id > 0 { return id }
        file.image.unpin()
        return nil
    }

    /// Whether nobody is meant to write the file. Of any other a reader may be a hypervisor on its
    /// way to writing it: QEMU opens an image for reading, then for writing, and only then closes
    /// the first. All its opens were passthrough then for as long as the guest runs, and no job
    /// could begin.
    private func isGolden(_ node: Node) -> Bool {
        guard let attributes = try? node.attributes() else { return false }
        return attributes.permissions & 0o222 == 0
    }

    private func withdraw(_ id: Int32, _ image: Image) {
        _ = cfuse_backing_close(device, UInt32(id))
        image.unpin()
    }
}

/// Names under which a keeper holds open files: `open-<node>.<serial>`.
enum KeptOpen {
    static func name(of node: UInt64, _ serial: UInt64) -> String { "open-\(node).\(serial)" }

    /// The node of such a name; nil for every other name.
    static func node(of name: String) -> UInt64? {
        guard name.hasPrefix("open-") else { return nil }
        return UInt64(name.dropFirst(5).prefix { $0 != "." })
    }
}
