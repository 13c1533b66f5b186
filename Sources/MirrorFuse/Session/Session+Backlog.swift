import CFuse

// What becomes of requests while only the reserve of threads is left.

extension Session {
    /// Puts a request that was just received aside, if its work could hang.
    func postpones(_ thread: RequestThread, _ count: Int) -> Bool {
        let request = UnsafeRawBufferPointer(rebasing: thread.request[..<count])
        let header = request.load(as: fuse_in_header.self)
        guard isInitialized, mayHang(request, header) else { return false }
        // Before the thread goes on to its next round (`sawFreshRequest`).
        if header.unique & RequestJournal.resent != 0 { kept.journal.expect(header.unique) }
        return threads.backlog.add(request)
    }

    /// Takes a request from the backlog and serves it, if more than the reserve is left. The
    /// calling thread is counted as one that works.
    func serveBacklog(_ thread: RequestThread) -> Bool {
        guard !areThreadsScarce, let count = threads.backlog.take(into: thread.request) else {
            return false
        }
        dispatch(thread, count, threads.readers.haveNone)
        return true
    }

    /// Whether one more than those that work, the calling thread not among them, may take a request
    /// from the backlog.
    var isBacklogDue: Bool { !threads.backlog.isEmpty && busyThreads < ThreadCount.mostBusy }

    /// Whether only the reserve does not work. One that is being started counts as one at work.
    @inline(__always)
    var areThreadsScarce: Bool {
        threads.live.count > ThreadCount.mostBusy && busyThreads > ThreadCount.mostBusy
    }

    private var busyThreads: Int { threads.live.count - threads.readers.idle }

    /// All but what `.mirror` needs, the way to it included.
    private func mayHang(_ request: UnsafeRawBufferPointer, _ header: fuse_in_header) -> Bool {
        switch header.opcode {
        case FUSE_INTERRUPT.rawValue: return false
        case FUSE_GETATTR.rawValue where header.nodeid == nodes.root.id: return false
        case FUSE_LOOKUP.rawValue where header.nodeid == nodes.root.id:
            let name = request.baseAddress! + MemoryLayout<fuse_in_header>.size
            return !ControlTable.isName(name.assumingMemoryBound(to: CChar.self))
        default: return !ControlNumber.owns(header.nodeid)
        }
    }
}
