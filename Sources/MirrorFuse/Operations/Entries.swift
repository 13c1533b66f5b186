import CFuse
import MirrorEngine
import MirrorSystem
import SystemPackage

// MKDIR, MKNOD, SYMLINK, LINK: what gives a name to something, as the caller.

extension Session {
    func makeDirectory(
        _ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>, _ mode: UInt32
    ) {
        make(reply, Entry(parent, name)) { (directory) throws(Errno) in
            try directory.makeDirectory(name, mode: mode)
        }
    }

    func makeNode(
        _ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>, _ mode: UInt32,
        _ device: UInt64
    ) {
        make(reply, Entry(parent, name)) { (directory) throws(Errno) in
            try directory.makeNode(name, mode: mode, device: device)
        }
    }

    func makeSymbolicLink(
        _ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>,
        _ target: UnsafePointer<CChar>
    ) {
        make(reply, Entry(parent, name)) { (directory) throws(Errno) in
            try directory.makeSymbolicLink(name, to: target)
        }
    }

    func makeLink(
        _ reply: consuming Reply, _ node: UInt64, _ parent: UInt64, _ name: UnsafePointer<CChar>
    ) {
        if ControlNumber.owns(node) { return reply.fail(.notPermitted) }
        let known = try? nodes.node(node)
        make(reply, Entry(parent, name)) { (directory) throws(Errno) in
            guard let known else { throw .staleNFSFileHandle }
            try directory.makeLink(name, to: known.descriptor)
        }
    }

    /// Runs `body` as the caller with the directory, and answers with what has the name then.
    private func make(
        _ reply: consuming Reply, _ entry: Entry,
        _ body: (FileDescriptor) throws(Errno) -> Void
    ) {
        do throws(Errno) {
            if hides(entry.parent, entry.name) { throw Errno.notPermitted }
            let directory = try nodes.node(entry.parent).descriptor
            try makeOnce(reply.entry, entry) { () throws(Errno) in
                try asCaller(of: reply) { () throws(Errno) in try body(directory) }
            }
            let made = try holdEntry(entry.parent, entry.name)
            if made.attributes.isRegular {
                engine.created(
                    made.attributes.identity, at: nodes.path(of: entry.bytes, in: entry.parent))
            }
            answerEntry(reply, made.descriptor, made.attributes, entry.parent, entry.name)
        } catch {
            reply.fail(error)
        }
    }
}
