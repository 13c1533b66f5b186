import CFuse
import MirrorEngine
import MirrorSystem
import SystemPackage

// OPEN, CREATE, RELEASE.

extension Session {
    func open(_ reply: consuming Reply, _ id: UInt64, _ flags: OpenFlags) {
        if ControlNumber.owns(id) { return openMirror(reply, id, flags) }
        do throws(Errno) {
            let file = try openBacking(of: try nodes.node(id), flags)
            let answer = join(file)
            let handle = try insert(file, answer, reply.entry)
            let delivered = reply.structure(
                cfuse_open_out(
                    fh: handle, open_flags: answer.flags, backing_id: answer.backing))
            if !delivered { close(handle) }
        } catch {
            reply.fail(error)
        }
    }

    /// Created as the caller, so that it owns the file; opened anew where it is there already.
    func create(
        _ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>, _ mode: UInt32,
        _ flags: OpenFlags
    ) {
        do throws(Errno) {
            if hides(parent, name) { throw Errno.notPermitted }
            let (node, file) = try createFile(reply, parent, name, mode, flags)
            do throws(Errno) {
                let attributes = shown(try node.attributes())
                let answer = join(file)
                let handle = try insert(file, answer, reply.entry)
                reply.entry?.note(node: node.id)
                engine.created(node.identity, at: nodes.path(of: node.id))
                var message = cfuse_create_out()
                var raw = attributes.raw
                cfuse_fill_entry(&message.entry, node.id, &raw, UInt64(Self.valid))
                message.open = cfuse_open_out(
                    fh: handle, open_flags: answer.flags, backing_id: answer.backing)
                if !reply.structure(message) {
                    close(handle)
                    nodes.forget(node.id, 1)
                }
            } catch {
                nodes.forget(node.id, 1)
                throw error
            }
        } catch {
            reply.fail(error)
        }
    }

    func release(_ reply: consuming Reply, _ node: UInt64, _ handle: UInt64) {
        if ControlNumber.owns(node) { releaseMirror(handle) } else { close(handle) }
        reply.done()
    }

    /// Opens the file behind a node with the guest's access mode, and counts the image as open.
    ///
    /// - Throws: `.resourceBusy` where another process holds a lock on the backing file; `.ioError`
    ///   where a twin serves the image that is not there.
    func openBacking(of node: Node, _ flags: OpenFlags) throws(Errno) -> OpenFile {
        guard node.isRegular else { throw .invalidArgument }
        return try counted(node, flags, nil)
    }

    /// - Parameter given: the image's own file where it is open already; taken over.
    private func counted(
        _ node: Node, _ flags: OpenFlags, _ given: FileDescriptor?
    ) throws(Errno) -> OpenFile {
        let (image, path) = try engine.open(
            node.identity, node.descriptor, at: nodes.path(of: node.id), flags, given: given)
        return OpenFile(node: node, flags: flags, path: path, image: image)
    }

    /// Of a file that was joined; on a failure it leaves and is dropped.
    private func insert(
        _ file: OpenFile, _ answer: OpenMode.Answer, _ entry: JournalEntry?
    ) throws(Errno) -> UInt64 {
        do throws(Errno) {
            return try files.insert(
                file, node: file.node.id, flags: file.flags.rawValue, backing: answer.backing,
                entry)
        } catch {
            leave(file)
            drop(file)
            throw error
        }
    }

    private func createFile(
        _ reply: borrowing Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>, _ mode: UInt32,
        _ flags: OpenFlags
    ) throws(Errno) -> (Node, OpenFile) {
        let directory = try nodes.node(parent).descriptor
        let descriptor = try createOnce(reply, Entry(parent, name), directory, flags, mode)
        var node: Node?
        do throws(Errno) {
            let holder = try descriptor.reopenedAsNode()
            let attributes = try descriptor.attributes()
            let made = nodes.remember(holder, attributes, parent, [UInt8](cString: name))
            node = made
            return (made, try counted(made, flags, descriptor))
        } catch {
            if let node { nodes.forget(node.id, 1) } else { try? descriptor.close() }
            throw error
        }
    }

    /// The file of a request whose predecessor has created it is opened as the daemon: its mode may
    /// forbid the caller what creating it allowed.
    private func createOnce(
        _ reply: borrowing Reply, _ entry: Entry, _ directory: FileDescriptor,
        _ flags: OpenFlags, _ mode: UInt32
    ) throws(Errno) -> FileDescriptor {
        let before = reply.entry.predecessor { .init(subject: identity(of: entry)) }
        if before != nil, before?.subject == nil, let node = try? directory.openNode(entry.name) {
            defer { try? node.close() }
            return try node.reopened(flags.backing)
        }
        return try asCaller(of: reply) { () throws(Errno) in
            try directory.createFile(entry.name, flags, mode: mode)
        }
    }

    /// A RELEASE that was done already, or whose file was not found again, finds nobody.
    func close(_ handle: UInt64) {
        guard let file = files.remove(handle) else { return }
        leave(file)
        drop(file)
    }

    /// Before the descriptors go with the file.
    func drop(_ file: OpenFile) { engine.close(file.image, file.path, file.flags) }
}
