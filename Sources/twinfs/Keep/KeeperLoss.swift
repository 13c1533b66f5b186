import Logging
import MirrorSystem
import SystemPackage

/// What a worker does when its keeper has died: it goes on serving, and starts a new keeper.
struct KeeperLoss {
    private let mount: ServedMount
    private let log: Logger
    /// Puts a line into the status, or takes it out.
    private let warn: (String?) -> Void

    init(_ mount: ServedMount, _ log: Logger, warn: @escaping (String?) -> Void) {
        (self.mount, self.log, self.warn) = (mount, log, warn)
    }

    /// Tries until a keeper has started; the worker's end of a socket to it.
    func replace(_ done: () -> Void) -> PacketSocket {
        log.error("the keeper has died; starting another one")
        var attempts = 0
        while true {
            if let socket = try? start() {
                warn(nil)
                done()
                return socket
            }
            attempts += 1
            warn(
                "no keeper: the mount ends if this worker dies, and it cannot start a keeper; see its log"
            )
            log.error("cannot start a keeper", metadata: ["attempt": "\(attempts)"])
            SteadyClock.sleep(milliseconds: Backoff.pause(after: attempts))
        }
    }

    private func start() throws -> PacketSocket {
        let (mine, its) = try PacketSocket.pair()
        defer { its.close() }
        let words = ["twinfs", "mount-keeper", "--adopt", "\(its.descriptor.rawValue)"]
        do throws(Errno) {
            _ = try ChildProcess(
                OwnProgram.path, words.map { Array($0.utf8) } + mount.words,
                inherited: its.descriptor)
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
