import CFuse
import Logging
import MirrorSystem
import SystemPackage

// The request loop: plain threads that read the device, answer READ and WRITE themselves and hand
// everything else to libfuse. A thread that blocks (a slow flush, say) is made up for by another
// one; when there are as many as may be, what could block waits in the backlog. So `.mirror` always
// answers.

extension Session {
    /// Room for the deepest callback with its temporary buffers.
    private static let stackSize = 512 << 10

    /// Starts the first thread, which takes over or answers INIT, then the others.
    func start() throws(MountError) {
        guard startThread() else {
            throw MountError(message: "cannot start a thread", cause: "")
        }
        life.usable.wait()
        if !isInitialized {
            throw MountError(message: "the mount ended before it began", cause: "")
        }
        for _ in 1..<Readers.usual { startThread() }
        _ = PlainThread.start(stackSize: 128 << 10) { self.watchForStalls() }
    }

    @discardableResult
    func startThread() -> Bool {
        guard threads.live.add() else { return false }
        let started = PlainThread.start(stackSize: Self.stackSize) { self.run() }
        if !started { threads.live.hasNotStarted() }
        return started
    }

    private func run() {
        let thread = RequestThread()
        cfuse_set_thread_state(Unmanaged.passUnretained(thread).toOpaque())
        let number = threads.live.entered(thread.round)
        withExtendedLifetime(thread) {
            if !life.usable.isOpen { takeOver() }
            serve(thread)
        }
        threads.live.left(number)
        life.usable.open()
        if threads.live.remove() { life.ended.open() }
    }

    private func serve(_ thread: RequestThread) {
        while !isDraining {
            if !threads.backlog.isEmpty, serveBacklog(thread) { continue }
            guard threads.readers.enter() else {
                thread.round.isJournalled()
                threads.readers.park { isBacklogDue }
                continue
            }
            // After `enter`: of a thread that adds to the backlog and one that comes back, the
            // later one looks last.
            if isBacklogDue {
                _ = threads.readers.leave()
                continue
            }
            thread.round.next()
            let received = receive(into: thread.request)
            let isLast = threads.readers.leave()
            guard let count = received else { return }
            if count == 0 { continue }
            if areThreadsScarce, postpones(thread, count) { continue }
            dispatch(thread, count, isLast)
        }
    }

    /// The length of a request; 0 where there was none after all, nil when the mount is gone.
    @inline(__always)
    private func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        do throws(Errno) {
            return try FileDescriptor(rawValue: device).receive(into: buffer)
        } catch .operationNotSupportedByDevice {
            endThreads()
            return nil
        } catch .noSuchFileOrDirectory, .resourceTemporarilyUnavailable, .interrupted {
            // The request was withdrawn while it was read, or another thread took it.
            return 0
        } catch {
            log.error("cannot read requests", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// - Parameter isLast: nobody waits for the next request.
    @inline(__always)
    func dispatch(_ thread: RequestThread, _ count: Int, _ isLast: Bool) {
        let request = UnsafeRawBufferPointer(rebasing: thread.request[..<count])
        let header = request.load(as: fuse_in_header.self)
        if header.opcode == FUSE_WRITE.rawValue, !ControlNumber.owns(header.nodeid) {
            thread.round.isJournalled()
            return timed(threads.slowWrites, count, isLast) { write(request, header) }
        }
        if header.opcode == FUSE_READ.rawValue, !ControlNumber.owns(header.nodeid) {
            thread.round.isJournalled()
            let bytes = Int(request.load(fromByteOffset: 40, as: fuse_read_in.self).size)
            return timed(threads.slowReads, bytes, isLast) { read(request, header, thread) }
        }
        if isLast { callReader() }
        handOver(request, header, thread)
    }

    /// Serves a request of a kind that may block or not.
    @inline(__always)
    private func timed(
        _ slowness: borrowing Slowness, _ bytes: Int, _ isLast: Bool, _ serve: () -> Void
    ) {
        if isLast, slowness.isLikely {
            callReader()
        } else if isLast {
            threads.stallWatch.isNeeded()
        }
        let begin = Stopwatch.nanoseconds
        serve()
        slowness.note(Stopwatch.nanoseconds - begin, bytes: bytes)
    }
}
