import CFuse
import MirrorEngine
import MirrorImage
import MirrorState
import MirrorSystem
import SystemPackage

/// What SETATTR asks for; nil is left as it is.
struct AttributeChange: Sendable {
    var permissions: UInt32?
    var owner: UInt32?
    var group: UInt32?
    var size: UInt64?
    var access: FileTime?
    var modification: FileTime?

    /// The time of the last status change, which newer kernels send too, cannot be set.
    init(_ raw: stat, _ fields: Int32) {
        let values = FileAttributes(raw)
        func chosen<Value>(_ bit: Int32, _ value: Value) -> Value? {
            fields & bit != 0 ? value : nil
        }
        permissions = chosen(FUSE_SET_ATTR_MODE, values.permissions)
        owner = chosen(FUSE_SET_ATTR_UID, values.owner)
        group = chosen(FUSE_SET_ATTR_GID, values.group)
        size = chosen(FUSE_SET_ATTR_SIZE, values.size)
        access = chosen(FUSE_SET_ATTR_ATIME, values.accessTime)
        modification = chosen(FUSE_SET_ATTR_MTIME, values.modificationTime)
        if fields & FUSE_SET_ATTR_ATIME_NOW != 0 { access = .now }
        if fields & FUSE_SET_ATTR_MTIME_NOW != 0 { modification = .now }
    }
}

extension Session {
    /// The kernel has checked the permissions and sends what follows of them (set-id bits that go),
    /// so this is done with the daemon's ids: owner, then mode, because a change of owner clears
    /// bits of the mode; then the size; then the times, which a new size would change.
    func setAttributes(
        _ reply: consuming Reply, _ id: UInt64, _ change: AttributeChange, _ handle: UInt64?
    ) {
        if ControlNumber.owns(id) { return setMirrorAttributes(reply, id, change) }
        do throws(Errno) {
            let node = try nodes.node(id)
            try node.apply(ownerAndModeOf: change)
            twin(of: node)?.follow(ownerAndModeOf: change)
            guard let size = change.size else { return finish(reply, node, change) }
            let file = try fileForSize(node, handle)
            setSize(WaitingReply(reply), file, size, change, isTemporary: handle == nil)
        } catch {
            reply.fail(error)
        }
    }

    /// The handle that the size is changed through; for truncate(2) and O_TRUNC, which come without
    /// one, a temporary one that counts as an open for writing.
    private func fileForSize(_ node: Node, _ handle: UInt64?) throws(Errno) -> OpenFile {
        if let handle { return try files.value(handle) }
        return try openBacking(of: node, .writing)
    }

    private func setSize(
        _ reply: WaitingReply, _ file: OpenFile, _ size: UInt64, _ change: AttributeChange,
        isTemporary: Bool
    ) {
        file.image.perform {
            file.image.truncate(to: size, through: file.descriptor)
        } then: { outcome in
            if isTemporary { self.drop(file) }
            switch outcome {
            case .failed(let error): reply.take().fail(error)
            default: self.finish(reply.take(), file.node, change)
            }
        }
    }

    private func finish(_ reply: consuming Reply, _ node: Node, _ change: AttributeChange) {
        do throws(Errno) {
            try node.apply(timesOf: change)
            twin(of: node)?.follow(timesOf: change)
            reply.attributes(shown(try node.attributes()), valid: Self.valid)
        } catch {
            reply.fail(error)
        }
    }

    /// The file that serves an image in place of its own, where that one has attributes to set.
    private func twin(of node: Node) -> FileDescriptor? {
        guard let backing = engine.serving.backing(of: node.identity), !backing.isDevice else {
            return nil
        }
        return backing.node
    }
}

extension FileDescriptor {
    /// A twin carries what its image says of owner, mode and times, as far as it can.
    fileprivate func follow(ownerAndModeOf change: AttributeChange) {
        if change.owner != nil || change.group != nil {
            try? setOwner(change.owner, group: change.group)
        }
        if let permissions = change.permissions { try? setPermissions(permissions) }
    }

    fileprivate func follow(timesOf change: AttributeChange) {
        guard change.access != nil || change.modification != nil else { return }
        try? setTimes(
            access: change.access ?? .unchanged, modification: change.modification ?? .unchanged)
    }
}

extension Node {
    fileprivate func apply(ownerAndModeOf change: AttributeChange) throws(Errno) {
        if change.owner != nil || change.group != nil {
            try descriptor.setOwner(change.owner, group: change.group)
        }
        if let permissions = change.permissions { try descriptor.setPermissions(permissions) }
    }

    fileprivate func apply(timesOf change: AttributeChange) throws(Errno) {
        guard change.access != nil || change.modification != nil else { return }
        try descriptor.setTimes(
            access: change.access ?? .unchanged, modification: change.modification ?? .unchanged)
    }
}

extension Image {
    /// Makes a change, again when the cut is over that held it, and hands on what became of it.
    /// Never blocks.
    func perform(
        _ change: @escaping @Sendable () -> Outcome,
        then finish: @escaping @Sendable (Outcome) -> Void
    ) {
        let outcome = change()
        guard case .held = outcome else { return finish(outcome) }
        whenLifted { self.perform(change, then: finish) }
    }
}
