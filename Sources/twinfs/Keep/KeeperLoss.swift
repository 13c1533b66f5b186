import Logging
import MirrorSystem
import SystemPackage

/// What a worker does when its keeper has died: it goes on serving, and starts a new keeper. Used
/// by one thread.
final class KeeperLoss {
    private let mount: ServedMount
    private let keeper: ProcessKeeper
    private let log: Logger
    /// Puts a line into the status, or takes it out.
    private let warn: (String?) -> Void
    /// Keepers that were started here, until their end is taken.
    private var children: [ChildProcess] = []
    /// When the last of them was started, on `SteadyClock`.
    private var started: Int?
    /// Failures one after the other: not started, or dead soon after the start.
    private var failures = 0

    init(
        _ mount: ServedMount, _ keeper: ProcessKeeper, _ log: Logger,
        warn: @escaping (String?) -> Void
    ) {
        (self.mount, self.keeper, self.log, self.warn) = (mount, keeper, log, warn)
    }

    /// Tries until a process has started that may become the keeper; the worker's end of a socket
    /// to it. Only its welcome says that it is one (`hasTakenOver`).
    func replace() -> PacketSocket {
        if let started, SteadyClock.milliseconds - started < Backoff.soon {
            failed()
        } else {
            failures = 0
        }
        while true {
            reap()
            started = SteadyClock.milliseconds
            if let socket = try? start() {
                // Not before the start: nobody knows what a line in the log has to wait for.
                log.error("the keeper has died; starting another one")
                return socket
            }
            failed()
        }
    }

    func hasTakenOver() { warn(nil) }

    private func failed() {
        failures += 1
        warn(
            "no keeper: the mount ends if this worker dies, and it cannot start a keeper; see its log"
        )
        log.error("cannot start a keeper", metadata: ["attempt": "\(failures)"])
        SteadyClock.sleep(milliseconds: Backoff.pause(after: failures))
    }

    private func reap() {
        children.removeAll { child in
            do throws(Errno) { return try child.poll() != nil } catch { return true }
        }
    }

    /// An upgrade that fails twice as keeper is given up for this worker's own program.
    private func start() throws(Errno) -> PacketSocket {
        let (mine, its) = try PacketSocket.pair()
        defer { its.close() }
        let words = ["twinfs", "mount-keeper", "--adopt", "\(its.descriptor.rawValue)"]
        // Its path may lead into the mount, which this keeper must not wait for.
        let log = keeper.inherited("log")
        defer { try? log?.close() }
        do throws(Errno) {
            children.append(
                try ChildProcess(
                    failures < 2 ? OwnProgram.path : OwnProgram.link,
                    words.map { Array($0.utf8) } + mount.words, inherited: its.descriptor,
                    errors: log))
            return mine
        } catch {
            mine.close()
            throw error
        }
    }
}

/// Pauses between attempts at what keeps failing.
enum Backoff {
    /// Milliseconds: who dies earlier after its start is in a loop.
    static let soon = 10_000

    /// 0.1 s, 0.2 s, 0.4 s … 10 s, in milliseconds.
    static func pause(after failures: Int) -> Int {
        failures == 0 ? 0 : min(100 << min(failures - 1, 10), 10_000)
    }
}
