import CFuse
import Logging
import MirrorEngine
import MirrorImage
import MirrorSystem
import Synchronization
import SystemPackage

// What a worker does whose predecessor has died: it makes every node and handle mean again what it
// meant, tells libfuse of INIT, and has the kernel send again what was not answered. Only then a
// request is read.

extension Session {
    /// Does nothing where there was no predecessor.
    func takeOver() {
        guard kept.isInherited else { return }
        var takeover = Takeover(self)
        takeover.restoreNodes()
        takeover.restoreFiles()
        takeover.restoreDirectories()
        takeover.restoreMirror()
        takeover.dropUnused()
        if kept.initAnswered.value != 0 { replayInit() }
        sendAgain()
        for handle in controlFiles.records.all where handle.poller != 0 { wake(handle.poller) }
        if isInitialized { life.usable.open() }
    }

    /// Asks the kernel for every request that was received and not answered.
    private func sendAgain() {
        var header = fuse_out_header(len: 16, error: CFUSE_NOTIFY_RESEND, unique: 0)
        if cfuse_write(device, &header, 16) == 16 { return }
        log.error(
            "this kernel does not send requests again: callers that waited when the worker died wait for ever"
        )
    }

    /// A poller looks again, and is then known to this worker.
    private func wake(_ poller: UInt64) {
        var message = cfuse_poll_notification(
            header: fuse_out_header(len: 24, error: Int32(FUSE_NOTIFY_POLL.rawValue), unique: 0),
            poller: poller)
        _ = cfuse_write(device, &message, 24)
    }

    /// A request came that no predecessor received, so all of theirs are received by now. Once
    /// every thread has told the journal of the one that it may hold, what is there besides belongs
    /// to callers that were killed or answered. A thread that waits for a request cannot be
    /// distinguished from one that has just received one, so each thread counts only after a round
    /// of its loop. On a mount that nobody uses that may be later.
    func sawFreshRequest(_ header: fuse_in_header) {
        let asksNothing: [UInt32] = [
            FUSE_FORGET.rawValue, FUSE_BATCH_FORGET.rawValue, FUSE_INTERRUPT.rawValue,
        ]
        if sawFresh.load(ordering: .relaxed) || asksNothing.contains(header.opcode) { return }
        if sawFresh.exchange(true, ordering: .relaxed) { return }
        let open = threads.live.openRounds
        _ = PlainThread.start(stackSize: 512 << 10) {
            var pause = Duration.milliseconds(10)
            while !open.allSatisfy({ $0.round.hasPassed($0.number) }) {
                if self.isDraining || self.life.ended.isOpen { return }
                PlainThread.sleep(pause)
                pause = min(pause * 2, .seconds(1))
            }
            self.clearJournal()
        }
    }

    private func clearJournal() {
        for entry in kept.journal.takeAbandoned() {
            if entry.stage != .answering { undo(entry) }
            entry.free()
        }
    }

    /// Takes back what a predecessor made for an answer that nobody got.
    func undo(_ entry: JournalEntry) {
        while let node = entry.takeNode() { forget(node, 1) }
        let handle = entry.handle
        guard handle != 0 else { return }
        switch (ControlNumber.owns(entry.node), entry.opcode) {
        case (true, FUSE_OPEN.rawValue), (true, FUSE_OPENDIR.rawValue): releaseMirror(handle)
        case (false, FUSE_OPENDIR.rawValue): _ = directories.remove(handle)
        default: close(handle)
        }
        entry.note(handle: 0)
    }
}

/// The records of a predecessor, while they get their meaning again.
private struct Takeover {
    private let session: Session
    private var entries: [UInt64: (slot: Int, entry: NodeRecords.Entry)] = [:]
    /// What was found, nil for what was not.
    private var found: [UInt64: Node?] = [:]
    /// What the keeper holds of open files: the name, by node.
    private var held: [UInt64: String] = [:]
    private var unused: Set<String> = []

    init(_ session: Session) {
        self.session = session
        for record in session.kept.nodes.all { entries[record.entry.number] = record }
        for name in session.keeper.inheritedNames {
            guard let node = KeptOpen.node(of: name) else { continue }
            held[node] = name
            unused.insert(name)
        }
    }

    mutating func restoreNodes() {
        for (id, record) in entries {
            let node = node(id)
            session.nodes.restore(record.entry, at: record.slot, node)
        }
    }

    /// A node by what the keeper holds of it, or beneath its directory by its name; nil where that
    /// is another file now, or none.
    private mutating func node(_ id: UInt64) -> Node? {
        if id == session.nodes.root.id { return session.nodes.root }
        if let known = found[id] { return known }
        found[id] = .some(nil)
        guard let entry = entries[id]?.entry, let descriptor = descriptor(of: entry) else {
            return nil
        }
        guard let attributes = try? descriptor.attributes(), attributes.identity == entry.identity
        else {
            try? descriptor.close()
            return nil
        }
        let node = Node(id: id, descriptor: descriptor, attributes: attributes)
        found[id] = node
        return node
    }

    private mutating func descriptor(of entry: NodeRecords.Entry) -> FileDescriptor? {
        if let name = held[entry.number], let file = session.keeper.inherited(name) { return file }
        guard !entry.name.isEmpty, let parent = node(entry.parent) else { return nil }
        return entry.name.withCString { try? parent.descriptor.openNode($0) }
    }

    mutating func restoreFiles() {
        for handle in session.files.records.all {
            do throws(Errno) {
                try restore(handle)
            } catch {
                session.log.error(
                    "an open file was not found again",
                    metadata: [
                        "path": "\(session.nodes.path(of: handle.node))", "error": "\(error)",
                    ])
            }
        }
    }

    private mutating func restore(_ handle: HandleRecords.Entry) throws(Errno) {
        let node = try session.nodes.node(handle.node)
        let flags = OpenFlags(rawValue: handle.flags)
        let (image, path) = try session.engine.open(
            node.identity, node.descriptor, at: session.nodes.path(of: node.id), flags,
            insists: true)
        let file = OpenFile(node: node, flags: flags, path: path, image: image)
        session.files.restore(handle.number, file)
        let name = held[node.id]
        if let name { unused.remove(name) }
        let pins = node.opening.withLock {
            $0.rejoin(writes: flags.writes, backing: handle.backing, keptName: name)
        }
        if pins { image.pinAgain() }
        session.keep(node)
        let failure = entries[node.id]?.entry.flushFailure ?? 0
        if failure != 0 { image.flushFailed(before: Errno(rawValue: failure)) }
    }

    func restoreDirectories() {
        for handle in session.directories.records.all {
            guard let node = try? session.nodes.node(handle.node),
                let descriptor = try? node.descriptor.reopenedAsDirectory()
            else { continue }
            session.directories.restore(
                handle.number, OpenDirectory(descriptor: descriptor, node: node.id))
        }
    }

    func restoreMirror() {
        let handles = session.controlFiles.records.all
        let read = handles.map { ($0.node, session.controlFiles.records.read(of: $0.number)) }
        session.mirror.restore(session.identity, read: Dictionary(read, uniquingKeysWith: max))
        for handle in handles {
            guard let node = try? session.mirror.node(handle.node) else { continue }
            let entries = node.file.isDirectory ? session.engine.entries(of: node.file) : []
            session.controlFiles.restore(handle.number, OpenControlFile(node, entries: entries))
        }
    }

    /// A predecessor that died between an open and its record, or between a RELEASE and the keeper.
    func dropUnused() { for name in unused { session.keeper.drop(name) } }
}
