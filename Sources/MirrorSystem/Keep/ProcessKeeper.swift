import Synchronization
public import SystemPackage

/// A worker's side of the keeper process: what is kept goes there through a socket, and what a predecessor
/// has left comes from there at the start.
///
/// A packet that is sent waits in the socket even if this process dies at once, and the keeper empties the
/// socket before it starts a successor: so `keep` is safe when it returns. Everything is held here too, so
/// that it can be given to another keeper when the keeper itself dies.
public final class ProcessKeeper: Keeper {
    private struct State {
        var socket: PacketSocket
        var files: [String: FileDescriptor]
        var keeper: Int32?
    }

    /// Held over a send, which waits only while the keeper does not read: the order of `keep` and `drop`
    /// of one name must be the keeper's too. Leaf.
    private let state: Mutex<State>
    /// What the predecessors have left; never closed, the successor may ask for it at any time.
    private let found: [String: FileDescriptor]
    public let life: WorkerLife

    public var predecessors: Int { life.predecessors }
    public var inheritedNames: [String] { Array(found.keys) }
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
        (self.life, found) = (life, files)
        state = Mutex(State(socket: socket, files: files, keeper: life.keeper))
    }

    public func keep(_ descriptor: FileDescriptor, as name: String) {
        let old = state.withLock { state in
            defer {
                state.files[name] = try? descriptor.duplicated()
                try? state.socket.send(KeeperMessage.keep(name).bytes, passing: descriptor)
            }
            return state.files[name]
        }
        close(old, name)
    }

    public func drop(_ name: String) {
        let old = state.withLock { state in
            defer { try? state.socket.send(KeeperMessage.drop(name).bytes) }
            return state.files.removeValue(forKey: name)
        }
        close(old, name)
    }

    private func close(_ file: FileDescriptor?, _ name: String) {
        guard let file, found[name] != file else { return }
        try? file.close()
    }

    public func inherited(_ name: String) -> FileDescriptor? {
        found[name].flatMap { try? $0.duplicated() }
    }

    /// Where it cannot be said, nobody needs to hear it.
    public func say(_ message: KeeperMessage) {
        state.withLock { try? $0.socket.send(message.bytes) }
    }
}

extension ProcessKeeper {
    /// Listens for as long as the process lives, on the calling thread.
    ///
    /// - Parameters:
    ///   - status: what to answer a `ping` with, a line; the keeper takes an answer for a sign of life.
    ///   - lost: the keeper is dead: starts another one and returns this end of a socket to it.
    public func listen(status: () -> String, lost: () -> PacketSocket) {
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
            case .welcome(let keeper): state.withLock { $0.keeper = keeper }
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
            for (name, file) in state.files {
                try? socket.send(KeeperMessage.keep(name).bytes, passing: file)
            }
            let adopt = KeeperMessage.adopt(worker: id, predecessors: predecessors)
            try? socket.send(adopt.bytes, passing: handle.descriptor)
        }
    }
}
