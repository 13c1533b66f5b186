import CFuse
import MirrorEngine
import MirrorSystem
import Synchronization
import SystemPackage

// The operations on `.mirror`. None of them waits for an image, a target or a lock that is held
// over I/O, so the status answers while everything else hangs.

extension Session {
    /// Names are not remembered by the kernel: each look-up shows the state of its moment.
    func lookUpMirror(_ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>) {
        let directory = ControlNumber.owns(parent) ? parent : nil
        do throws(Errno) {
            let node = try mirror.lookUp([UInt8](cString: name), in: directory, identity)
            let attributes = node.attributes
            reply.entry?.note(node: node.id)
            if !reply.entry(node.id, attributes, valid: 0) { mirror.forget(node.id, 1) }
        } catch {
            reply.fail(error)
        }
    }

    /// `echo … > control` sets the size to 0 first. Nothing else can be changed.
    func setMirrorAttributes(_ reply: consuming Reply, _ id: UInt64, _ change: AttributeChange) {
        do throws(Errno) {
            let node = try mirror.node(id)
            guard node.file == .control, change.size != nil else { throw Errno.notPermitted }
            reply.attributes(node.attributes, valid: 0)
        } catch {
            reply.fail(error)
        }
    }

    /// Direct, so that the kernel asks for what is there and not for what the size says.
    func openMirror(_ reply: consuming Reply, _ id: UInt64, _ flags: OpenFlags) {
        do throws(Errno) {
            let node = try mirror.node(id)
            if flags.writes, node.file != .control { throw Errno.permissionDenied }
            answerOpen(
                reply, try controlFiles.insert(OpenControlFile(node), node: id, reply.entry))
        } catch {
            reply.fail(error)
        }
    }

    func openMirrorDirectory(_ reply: consuming Reply, _ id: UInt64) {
        do throws(Errno) {
            let node = try mirror.node(id)
            let directory = OpenControlFile(node, entries: engine.entries(of: node.file))
            answerOpen(reply, try controlFiles.insert(directory, node: id, reply.entry))
        } catch {
            reply.fail(error)
        }
    }

    private func answerOpen(_ reply: consuming Reply, _ handle: UInt64) {
        let answer = cfuse_open_out(
            fh: handle, open_flags: UInt32(FOPEN_DIRECT_IO), backing_id: 0)
        if !reply.structure(answer) { _ = controlFiles.remove(handle) }
    }

    func releaseMirror(_ handle: UInt64) {
        if let file = controlFiles.remove(handle) { pollers.remove(file) }
    }

    /// Offsets count the entries, after `.` and `..`.
    func listMirror(_ handle: UInt64, _ offset: Int64, _ list: inout EntryList) throws(Errno) {
        let directory = try controlFiles.value(handle)
        let dots = [(Array(".".utf8), ControlFile.root), (Array("..".utf8), ControlFile.root)]
        let all = dots + directory.entries.map { ($0.name, $0.file) }
        let start = min(max(0, Int(offset)), all.count)
        for (index, entry) in all.enumerated().dropFirst(start) {
            let attributes = entry.1.attributes(identity, controlGroup: nil)
            guard list.add(mirror: (entry.0, attributes), Int64(index + 1)) else { return }
        }
    }

    func readMirror(_ reply: consuming Reply, _ handle: UInt64, _ size: Int, _ offset: UInt64) {
        guard let file = try? controlFiles.value(handle) else {
            return reply.fail(.staleNFSFileHandle)
        }
        if file.node.file == .control {
            return reply.bytes(takeAnswer(of: handle, file, size, reply.entry))
        }
        guard let bytes = file.bytes(at: Int(clamping: offset), size) else {
            return reply.fail(.staleNFSFileHandle)
        }
        // Whoever asks behind the end has read nothing.
        if file.node.file == .events, !bytes.isEmpty {
            controlFiles.records.setRead(Int(clamping: offset) + bytes.count, of: handle)
        }
        reply.bytes(bytes)
    }

    /// Takes up to `count` bytes of the last command's line, wherever the handle's offset is: it
    /// stands behind the command that was written. Kept, so that the next worker can give it; what
    /// a predecessor took for an answer that did not arrive is taken again.
    private func takeAnswer(
        of handle: UInt64, _ file: OpenControlFile, _ count: Int, _ entry: JournalEntry?
    ) -> [UInt8] {
        let records = controlFiles.records
        return file.answering.withLock { _ in
            let answer = records.answer(of: handle)
            let start = entry?.readStart ?? answer.read
            entry?.note(readStart: start)
            let bytes = Array(answer.text.dropFirst(start).prefix(count))
            records.setRead(start + bytes.count, of: handle)
            return bytes
        }
    }

    /// One write is one command; it is answered when the command has taken effect. What it came to
    /// in words is read from the same handle.
    func writeMirror(_ reply: consuming Reply, _ handle: UInt64, _ data: UnsafeRawBufferPointer) {
        guard let file = try? controlFiles.value(handle), file.node.file == .control else {
            return reply.fail(.badFileDescriptor)
        }
        let (count, entry) = (data.count, reply.entry)
        let waiting = WaitingReply(reply)
        if let entry, entry.isRepeat, let result = entry.result {
            return answer(waiting, handle, file, count, result.errno, result.text)
        }
        let line = data.last == UInt8(ascii: "\n") ? data.dropLast() : data[...]
        let finish: Engine.CommandReply = { result in
            let errno = result.errno?.rawValue ?? 0
            entry?.note(errno: errno, Array(result.text.utf8))
            self.answer(waiting, handle, file, count, errno, Array(result.text.utf8))
        }
        // Any identity stands for yes.
        let before = entry.predecessor {
            .init(subject: engine.stands(Array(line)) ? FileIdentity(device: 0, inode: 0) : nil)
        }
        let isOurs = before != nil && before?.subject == nil
        if isOurs { return engine.executeAgain(Array(line), reply: finish) }
        engine.execute(Array(line), reply: finish)
    }

    private func answer(
        _ waiting: WaitingReply, _ handle: UInt64, _ file: OpenControlFile, _ count: Int,
        _ errno: Int32, _ text: [UInt8]
    ) {
        let line = text + [UInt8(ascii: "\n")]
        file.answering.withLock { _ in controlFiles.records.setAnswer(line, of: handle) }
        if errno != 0 { return waiting.take().fail(Errno(rawValue: errno)) }
        waiting.take().written(count)
    }

    /// `events` is ready when it has something that the handle has not read; everything else always
    /// is.
    func poll(_ reply: consuming Reply, _ node: UInt64, _ handle: UInt64, _ poller: PollHandle) {
        guard ControlNumber.owns(node) else { return reply.events(Readiness.all) }
        guard let file = try? controlFiles.value(handle) else { return reply.events(Readiness.all) }
        controlFiles.records.setPoller(RequestThread.current.pollerNumber, of: handle)
        // Before the look, so that an event between the two wakes.
        pollers.wait(poller, for: file)
        reply.events(file.isReadable ? Readiness.all : Readiness.writing)
    }
}

/// Bits of `poll(2)`, which the protocol carries as they are.
private enum Readiness {
    /// POLLIN, POLLRDNORM, and `writing`.
    static let all: UInt32 = 0x001 | 0x040 | writing
    /// POLLOUT, POLLWRNORM.
    static let writing: UInt32 = 0x004 | 0x100
}
