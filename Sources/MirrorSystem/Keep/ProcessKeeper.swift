import Synchronization
public import SystemPackage

/// A worker's side of the keeper process: what is kept goes there through a socket, and what a
/// predecessor has left comes from there at the start.
///
/// A packet that is sent waits in the socket even if this process dies at once, and the keeper
/// empties the socket before it starts a successor: so `keep` is safe when it returns. Everything
/// is held here too, so that it can be given to another keeper when the keeper itself dies.
public final class ProcessKeeper: Keeper {
    fileprivate struct State {
        var socket: PacketSocket
        var files: [String: FileDescriptor]
        /// What the predecessors have left and nobody has dropped: a successor may ask for it at
        /// any time.
        var found: [String: FileDescriptor]
        var keeper: Int32?
        /// Names that the keeper could not be sent: tried again with the next message.
        var owed: Set<String> = []
    }

    /// Held over a send, which waits only while the keeper does not read, or the kernel refuses for
    /// a while: the order of `keep` and `drop` of one name must be the keeper's too. Leaf.
    private let state: Mutex<State>
    private let onTrouble = Mutex<(@Sendable (String?) -> Void)?>(nil)
    public let life: WorkerLife

    public var predecessors: Int { life.predecessors }
    public var inheritedNames: [String] { state.withLock { Array($0.found.keys) } }
    public var process: Int32? { state.withLock { $0.keeper } }

    /// Takes over what the keeper at the other end of `socket` holds.
    public init(_ socket: PacketSocket) throws(Errno) {
        var (files, life) = ([String: FileDescriptor](), WorkerLife())
        receiving: while true {
            guard let (bytes, passed) = try socket.receive() else { throw .connectionReset }
            switch KeeperMessage(bytes) {
            case .life(let told): life = told
            case .keep(let name): files[name] = passed
            case .endOfList: break receiving
            default: try? passed?.close()
            }
        }
        self.life = life
        state = Mutex(State(socket: socket, files: files, found: files, keeper: life.keeper))
    }

    public func keep(_ descriptor: FileDescriptor, as name: String) {
        change { state in
            let old = state.files[name]
            state.files[name] = try? descriptor.duplicated()
            if state.found[name] != old { try? old?.close() }
            if state.files[name] != nil {
                state.owed.insert(name)
            } else {
                try? state.socket.send(KeeperMessage.keep(name).bytes, passing: descriptor)
            }
        }
    }

    public func drop(_ name: String) {
        change { state in
            let files = [
                state.files.removeValue(forKey: name), state.found.removeValue(forKey: name),
            ]
            for file in Set(files.compactMap(\.self)) { try? file.close() }
            state.owed.remove(name)
            try? state.socket.send(KeeperMessage.drop(name).bytes)
        }
    }

    public func inherited(_ name: String) -> FileDescriptor? {
        state.withLock { $0.found[name].flatMap { try? $0.duplicated() } }
    }

    /// Where it cannot be said, nobody needs to hear it.
    public func say(_ message: KeeperMessage) {
        change { try? $0.socket.send(message.bytes) }
    }

    /// Where to say that the keeper does not get what it is to hold, and nil when it has it all.
    /// Called under locks of whoever keeps.
    public func tellOfTrouble(_ tell: @escaping @Sendable (String?) -> Void) {
        onTrouble.withLock { $0 = tell }
    }

    /// Makes a change, and sends what the keeper is owed.
    private func change(_ body: (inout State) -> Void) {
        let (owed, left) = state.withLock { state in
            let owed = state.owed
            body(&state)
            // Who has waited in vain once does not let every caller wait.
            return (owed, state.settle(attempts: owed.isEmpty ? 200 : 1))
        }
        if let error = left.error {
            tell(
                "the keeper cannot be given \(left.count) open files (\(error)): they are lost if this"
                    + " worker dies; more open files may have to be allowed (ulimit -n)")
        } else if !owed.isEmpty {
            tell(nil)
        }
    }

    private func tell(_ text: String?) { onTrouble.withLock { $0 }?(text) }
}

extension ProcessKeeper.State {
    /// Sends what is owed; how much is left, and why.
    fileprivate mutating func settle(attempts: Int) -> (count: Int, error: Errno?) {
        for name in HeldName.inOrder(owed) {
            do throws(Errno) { try send(name, attempts) } catch { return (owed.count, error) }
            owed.remove(name)
        }
        return (0, nil)
    }

    /// Tries again where the kernel has too many descriptors under way, which the keeper then
    /// takes, or no memory. What fails because the keeper has died is no matter: the next one is
    /// given everything.
    private func send(_ name: String, _ attempts: Int) throws(Errno) {
        guard let file = files[name] else { return }
        for attempt in 1... {
            do throws(Errno) {
                return try socket.send(KeeperMessage.keep(name).bytes, passing: file)
            } catch .tooManyReferences, .noMemory, .noBufferSpace {
                if attempt >= attempts { throw .tooManyReferences }
            } catch {
                return
            }
            SteadyClock.sleep(milliseconds: 5)
        }
    }
}

extension ProcessKeeper {
    /// Listens for as long as the process lives, on the calling thread.
    ///
    /// - Parameters:
    ///   - status: what to answer a `ping` with, a line; the keeper takes an answer for a sign of
    ///     life.
    ///   - lost: the keeper is dead: starts another one and returns this end of a socket to it.
    ///   - found: the other one has taken over.
    public func listen(
        status: () -> String, lost: () -> PacketSocket, found: () -> Void
    ) {
        while true {
            let socket = state.withLock { $0.socket }
            guard let packet = try? socket.receive() else {
                state.withLock { $0.keeper = nil }
                handOver(to: lost())
                continue
            }
            try? packet.passed?.close()
            switch KeeperMessage(packet.bytes) {
            case .ping: say(.pong(status()))
            case .welcome(let keeper):
                state.withLock { $0.keeper = keeper }
                found()
            default: break
            }
        }
    }

    /// Gives a new keeper everything that the old one had.
    private func handOver(to socket: PacketSocket) {
        let id = Int32(ThisProcess.id)
        guard let handle = try? ProcessHandle(id) else { return }
        defer { handle.close() }
        let predecessors = Int32(clamping: life.predecessors)
        // Under the lock: what is kept meanwhile comes after this list, not between.
        state.withLock { state in
            state.socket.close()
            state.socket = socket
            state.owed = Set(state.files.keys)
            _ = state.settle(attempts: 200)
            let adopt = KeeperMessage.adopt(worker: id, predecessors: predecessors)
            try? socket.send(adopt.bytes, passing: handle.descriptor)
        }
    }
}
