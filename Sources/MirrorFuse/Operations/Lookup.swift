import CFuse
import MirrorEngine
import MirrorState
import MirrorSystem
import Synchronization
import SystemPackage

// LOOKUP, FORGET, GETATTR, READLINK, STATFS.

extension Session {
    /// Seconds for which the kernel may remember names and attributes: changes behind the mount
    /// show after this long.
    static let valid = 1.0

    func lookUp(_ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>) {
        if hides(parent, name) { return lookUpMirror(reply, parent, name) }
        do throws(Errno) {
            let found = try holdEntry(parent, name)
            answerEntry(reply, found.descriptor, found.attributes, parent, name)
        } catch {
            reply.fail(error)
        }
    }

    /// Whether the name belongs to `.mirror` or is in it; a backing entry of that name is shadowed.
    func hides(_ parent: UInt64, _ name: UnsafePointer<CChar>) -> Bool {
        if ControlNumber.owns(parent) { return true }
        return parent == nodes.root.id && ControlTable.isName(name)
    }

    /// Holds what a name of a directory stands for.
    func holdEntry(
        _ parent: UInt64, _ name: UnsafePointer<CChar>
    ) throws(Errno) -> (descriptor: FileDescriptor, attributes: FileAttributes) {
        try Self.checkName(name)
        let descriptor = try nodes.node(parent).descriptor.openNode(name)
        do throws(Errno) {
            return (descriptor, try descriptor.attributes())
        } catch {
            try? descriptor.close()
            throw error
        }
    }

    /// `.` and `..` are only asked for by NFS servers, which this filesystem does not offer itself
    /// to.
    private static func checkName(_ name: UnsafePointer<CChar>) throws(Errno) {
        let dot = CChar(bitPattern: UInt8(ascii: "."))
        guard name[0] == dot else { return }
        if name[1] == 0 || (name[1] == dot && name[2] == 0) { throw .staleNFSFileHandle }
    }

    /// Answers with the node of `descriptor`, which is used up. An answer that nobody waits for
    /// counts no look-up.
    func answerEntry(
        _ reply: consuming Reply, _ descriptor: FileDescriptor, _ attributes: FileAttributes,
        _ parent: UInt64, _ name: UnsafePointer<CChar>
    ) {
        let node = nodes.remember(descriptor, attributes, parent, [UInt8](cString: name))
        node.hasSetID.store(attributes.hasSetID, ordering: .relaxed)
        reply.entry?.note(node: node.id)
        if !reply.entry(node.id, shown(attributes), valid: Self.valid) { nodes.forget(node.id, 1) }
    }

    /// What the kernel is told of a file: of one that a twin serves, that one's size and times.
    func shown(_ attributes: FileAttributes) -> FileAttributes {
        engine.serving.backing(of: attributes.identity)?.attributes(over: attributes) ?? attributes
    }

    func forget(_ node: UInt64, _ count: UInt64) {
        if ControlNumber.owns(node) {
            mirror.forget(node, count)
        } else {
            nodes.forget(node, count)
        }
    }

    func getAttributes(_ reply: consuming Reply, _ node: UInt64) {
        do throws(Errno) {
            if ControlNumber.owns(node) {
                return reply.attributes(try mirror.attributes(of: node, identity), valid: 0)
            }
            let known = try nodes.node(node)
            let attributes = try known === nodes.root ? root.attributes() : known.attributes()
            reply.attributes(shown(attributes), valid: Self.valid)
        } catch {
            reply.fail(error)
        }
    }

    func readLink(_ reply: consuming Reply, _ node: UInt64) {
        let buffer = RequestThread.current.answer
        do throws(Errno) {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(buffer.count - 1)])
            let count = try nodes.node(node).descriptor.readLink(into: room)
            buffer[count] = 0
            reply.link(UnsafeRawPointer(buffer.baseAddress!).assumingMemoryBound(to: CChar.self))
        } catch {
            reply.fail(error)
        }
    }

    func statistics(_ reply: consuming Reply, _ node: UInt64) {
        do throws(Errno) {
            let known = ControlNumber.owns(node) ? nodes.root : try nodes.node(node)
            reply.statistics(try known.descriptor.filesystemStatistics())
        } catch {
            reply.fail(error)
        }
    }
}
