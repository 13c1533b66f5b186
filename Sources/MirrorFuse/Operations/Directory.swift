import CFuse
import MirrorSystem
import Synchronization
import SystemPackage

// OPENDIR, READDIR, READDIRPLUS, RELEASEDIR, FSYNCDIR.

extension Session {
    /// Position after `.mirror`, which comes first in the root, and before the backing directory's
    /// first entry. No filesystem that is known gives it out ("mirror" in its lower bytes).
    private static let afterMirror: Int64 = 0x5eed_6d69_7272_6f72

    func openDirectory(_ reply: consuming Reply, _ node: UInt64) {
        if ControlNumber.owns(node) { return openMirrorDirectory(reply, node) }
        do throws(Errno) {
            let descriptor = try nodes.node(node).descriptor.reopenedAsDirectory()
            let directory = OpenDirectory(descriptor: descriptor, node: node)
            let handle = try directories.insert(directory, node: node, reply.entry)
            let delivered = reply.structure(
                cfuse_open_out(fh: handle, open_flags: 0, backing_id: 0))
            if !delivered { _ = directories.remove(handle) }
        } catch {
            reply.fail(error)
        }
    }

    func releaseDirectory(_ reply: consuming Reply, _ node: UInt64, _ handle: UInt64) {
        if ControlNumber.owns(node) {
            releaseMirror(handle)
        } else {
            _ = directories.remove(handle)
        }
        reply.done()
    }

    func flushDirectory(
        _ reply: consuming Reply, _ node: UInt64, _ handle: UInt64, dataOnly: Bool
    ) {
        if ControlNumber.owns(node) { return reply.done() }
        do throws(Errno) {
            try directories.value(handle).descriptor.synchronize(dataOnly: dataOnly)
            reply.done()
        } catch {
            reply.fail(error)
        }
    }

    func readDirectory(
        _ reply: consuming Reply, _ node: UInt64, _ handle: UInt64, _ size: Int, _ offset: Int64,
        withAttributes: Bool
    ) {
        let room = UnsafeMutableRawBufferPointer(
            rebasing: RequestThread.current.answer.prefix(size))
        var list = EntryList(
            reply.request, room, withAttributes: withAttributes, journal: reply.entry)
        do throws(Errno) {
            if ControlNumber.owns(node) {
                try listMirror(handle, offset, &list)
            } else {
                try fill(&list, from: try directories.value(handle), offset)
            }
            reply.bytes(list.filled)
        } catch {
            reply.fail(error)
        }
    }

    private func fill(
        _ list: inout EntryList, from directory: OpenDirectory, _ offset: Int64
    ) throws(Errno) {
        let isRoot = directory.node == nodes.root.id
        if isRoot, offset == 0, !list.add(mirror: mirror.rootEntry(identity), Self.afterMirror) {
            return
        }
        let position = offset == Self.afterMirror ? 0 : offset
        try directory.reading.withLock { (buffer) throws(Errno) in
            try buffer.seek(to: position)
            while let entry = try buffer.current() {
                let isHidden = isRoot && entry.name == ControlTable.name
                if !isHidden, !add(entry, to: &list, directory.node) { break }
                buffer.advance(past: entry)
            }
        }
    }

    /// False where the entry has no room any more.
    private func add(
        _ entry: DirectoryEntry, to list: inout EntryList, _ parent: UInt64
    ) -> Bool {
        // Every look-up that is handed out must be in the journal.
        if list.withAttributes, list.journal?.canNote == false { return false }
        let held = list.withAttributes ? hold(entry, parent) : nil
        guard let held else { return list.add(entry) }
        let node = nodes.remember(held.descriptor, held.attributes, parent, entry.name)
        if list.add(entry, node.id, shown(held.attributes), valid: Self.valid) {
            list.journal?.note(node: node.id)
            return true
        }
        nodes.forget(node.id, 1)
        return false
    }

    /// Nil for `.` and `..`, whose look-up the kernel does not want, and for what is gone
    /// meanwhile.
    private func hold(
        _ entry: DirectoryEntry, _ parent: UInt64
    ) -> (descriptor: FileDescriptor, attributes: FileAttributes)? {
        entry.name.withCString { try? holdEntry(parent, $0) }
    }
}
