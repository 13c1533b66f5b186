import CFuse
import Logging
import MirrorSystem
import SystemPackage

// Requests other than READ and WRITE of images: libfuse decodes them, and the journal knows of
// those that must not simply be done twice.

extension Session {
    /// Everything else is libfuse's to decode. What must not simply be done twice gets a slot in
    /// the journal first; a predecessor's slot says how far it came.
    func handOver(
        _ request: UnsafeRawBufferPointer, _ header: fuse_in_header, _ thread: RequestThread
    ) {
        if !isInitialized { return begin(request, header) }
        let isRepeat = header.unique & RequestJournal.resent != 0
        if !isRepeat, kept.isInherited { sawFreshRequest(header) }
        if isRepeat { return repeatRequest(request, header, thread) }
        if Repeats.isJournalled(header) { thread.entry = entry(of: header) }
        thread.round.isJournalled()
        process(request)
        // One that libfuse has refused by itself has not been taken.
        thread.takeEntry()?.free()
    }

    private func entry(of header: fuse_in_header) -> JournalEntry? {
        kept.journal.begin(unique: header.unique, opcode: header.opcode, node: header.nodeid)
    }

    /// One that a predecessor received too. Those of `.mirror` get a slot in any case, to count
    /// them by; those of images only where they need it: a guest's data is tried for ever.
    private func repeatRequest(
        _ request: UnsafeRawBufferPointer, _ header: fuse_in_header, _ thread: RequestThread
    ) {
        let isJournalled = Repeats.isJournalled(header)
        let entry = isJournalled || ControlNumber.owns(header.nodeid) ? entry(of: header) : nil
        thread.round.isJournalled()
        if let entry, entry.isRepeat { undo(entry) }
        if let entry, entry.countRepeat() > Repeats.most { return refuse(entry, header) }
        if isJournalled { thread.entry = entry }
        process(request)
        if isJournalled {
            thread.takeEntry()?.free()
            entry?.outlived(header.unique)
        } else {
            entry?.free()
        }
    }

    /// Ends a request that every worker died over.
    private func refuse(_ entry: JournalEntry, _ header: fuse_in_header) {
        log.error(
            "workers died over a request, which fails now; report this",
            metadata: ["operation": "\(header.opcode)", "node": "\(header.nodeid)"])
        entry.reached(.answering)
        DataReply(device: device, unique: header.unique).fail(.ioError)
        entry.free()
    }

    /// The first request: INIT, also one that a predecessor received and did not answer; else a
    /// predecessor has answered it and died before it could say so.
    private func begin(_ request: UnsafeRawBufferPointer, _ header: fuse_in_header) {
        if header.opcode != FUSE_INIT.rawValue {
            replayInit()
            kept.initAnswered.set(1)
            life.usable.open()
            return dispatch(RequestThread.current, request.count, false)
        }
        record(initRequest: request)
        process(request)
        isInitialized = true
        if !offer.resend {
            log.warning(
                "this kernel does not send requests again: one that is under way when the daemon's worker dies is never answered"
            )
        }
        kept.initAnswered.set(1)
        life.usable.open()
    }
}
