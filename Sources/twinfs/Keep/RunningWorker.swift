import MirrorSystem
import SystemPackage

/// A worker, as its keeper sees it.
final class RunningWorker {
    let socket: PacketSocket
    let process: ProcessHandle
    let started = SteadyClock.milliseconds
    /// Whether it runs the program that is now at the path of the keeper's own.
    let isFromPath: Bool
    private(set) var isReady = false
    /// When it must be ready, on `SteadyClock`; nil from then on, and once it was ended for being
    /// late.
    private(set) var deadline: Int?
    /// Why it was ended by its keeper.
    private(set) var lateness: String?
    var goodbye: KeeperMessage.Goodbye?
    var failure: (code: Int32, text: String)?
    private(set) var isClosed = false
    private var outgoing: [(message: KeeperMessage, passed: FileDescriptor?)] = []

    /// - Parameter patience: milliseconds within which it must be ready.
    init(_ socket: PacketSocket, _ process: ProcessHandle, isFromPath: Bool, patience: Int) {
        (self.socket, self.process, self.isFromPath) = (socket, process, isFromPath)
        deadline = started + patience
    }

    /// A minute, then twice that, and so on: one that has much to open again gets its time in the
    /// end.
    static func patience(after deaths: Int) -> Int {
        // For tests.
        let first = Environment["TWINFS_READY_LIMIT"].flatMap { Int($0) } ?? 60_000
        return first << min(deaths, 6)
    }

    func becameReady() {
        isReady = true
        deadline = nil
    }

    /// Ends a worker that hangs before it serves: all guests wait for it.
    func endIfLate() {
        guard let deadline, SteadyClock.milliseconds >= deadline else { return }
        lateness = "did not get ready within \((deadline - started) / 1000) s and was ended"
        self.deadline = nil
        process.send(.kill)
    }

    var hasOutgoing: Bool { !outgoing.isEmpty }

    /// Sends as soon as the socket has room. `passed` must stay open until then: the keeper sends
    /// what it holds to a worker that cannot drop anything before it has received everything.
    func send(_ message: KeeperMessage, passing passed: FileDescriptor? = nil) {
        outgoing.append((message, passed))
        flush()
    }

    func flush() {
        var sent = 0
        for (message, passed) in outgoing {
            do throws(Errno) {
                try socket.send(message.bytes, passing: passed, waits: false)
            } catch .resourceTemporarilyUnavailable {
                break
            } catch {
                // It is dying; its handle tells when.
            }
            sent += 1
        }
        outgoing.removeFirst(sent)
    }

    /// The next message that waits in the socket, with its descriptor; nil where there is none.
    func nextMessage() -> (KeeperMessage?, FileDescriptor?)? {
        if isClosed { return nil }
        do throws(Errno) {
            guard let (bytes, passed) = try socket.receive(waits: false) else {
                isClosed = true
                return nil
            }
            return (KeeperMessage(bytes), passed)
        } catch {
            if error != .resourceTemporarilyUnavailable { isClosed = true }
            return nil
        }
    }

    func close() {
        socket.close()
        process.close()
    }
}
