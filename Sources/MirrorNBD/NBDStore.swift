import Dispatch
package import MirrorCore
package import MirrorTarget
import Synchronization
package import SystemPackage

/// An NBD export as a target's store: of fixed size, and full of somebody's old bytes.
///
/// It has one connection, or a few where the server says that a flush on one covers all of them. A
/// call that finds its connection lost fails; the next one connects anew.
package final class NBDStore: TwinStore {
    private static let mostConnections = 4
    /// Longest range of one request, below the protocol's 32 bits.
    private static let longestZero: UInt64 = 1 << 30

    private let uri: String
    private let bytes: UInt64
    private let free: DispatchSemaphore
    /// What the lock protects; no call on a connection is made under it.
    private let state: Mutex<State>

    /// A flush speaks for what the server has, and a server that was started anew has forgotten
    /// what was not flushed. So each flush that has something to cover looks at `losses` before and
    /// after.
    private struct State {
        /// Connections that nobody uses; nil where one was lost and is to be made anew.
        var idle: [NBDConnection?]
        /// Connections lost, and connections made beside others: each may lead to another server.
        var losses = 0
        /// Those that a failed flush has told of, or that came while everything was flushed.
        var toldLosses = 0
        /// Connections lent before it moved are not used again, and what they did does not count.
        var generation = 0
        /// The last generation in which a connection was made.
        var connected = 0
        /// Writes that were begun, and those that have ended.
        var writes = 0
        var ended = 0
        /// Those that had begun before the last good flush did.
        var flushedWrites = 0

        var mayHaveLost: Bool { losses != toldLosses && writes != flushedWrites }
    }

    /// Connects to a server. Blocks, for ten seconds at most where nobody answers.
    ///
    /// - Parameter uri: `nbd://host:port/export` or `nbd+unix:///export?socket=/path`.
    package static func open(_ uri: String) throws(CommandError) -> any TwinStore {
        let store: NBDStore
        let isReadOnly: Bool
        do throws(Errno) {
            let first = try NBDConnection(uri)
            isReadOnly = first.isReadOnly
            store = NBDStore(uri, first)
        } catch {
            throw CommandError(
                .notFound,
                "target \(NameText.shown(Array(uri.utf8))): cannot connect: \(error); start the NBD"
                    + " server, or name another target")
        }
        guard !isReadOnly else {
            throw CommandError(
                .notWritable,
                "target \(NameText.shown(Array(uri.utf8))): the export is read-only; let its server write"
                    + ", or name another target")
        }
        return store
    }

    private init(_ uri: String, _ first: NBDConnection) {
        self.uri = uri
        bytes = first.size
        var all = [first]
        // All at once, while nothing is written: one that is made later counts as a loss.
        while first.canHaveSiblings, all.count < Self.mostConnections,
            let next = try? Self.connect(uri, bytes)
        {
            all.append(next)
        }
        free = DispatchSemaphore(value: all.count)
        state = Mutex(State(idle: all))
    }

    /// A guest cannot go on on another machine's export.
    package var local: FileDescriptor? { nil }
    package var capacity: UInt64? { bytes }
    package var blockSize: Int { ZeroScan.block }
    package func size() -> UInt64 { bytes }
    package func setSize(_ size: UInt64) throws(Errno) {
        if size > bytes { throw .noSpace }
    }

    package func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        let count = Int(min(UInt64(buffer.count), bytes > offset ? bytes - offset : 0))
        let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        try withConnection { (connection) throws(Errno) in
            try connection.read(into: piece, at: offset)
        }
        return count
    }

    package func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        state.withLock { $0.writes += 1 }
        defer { state.withLock { $0.ended += 1 } }
        try withConnection { (connection) throws(Errno) in
            try connection.write(data, at: offset)
        }
    }

    package func zero(_ range: ByteRange, unmap: Bool) throws(Errno) {
        state.withLock { $0.writes += 1 }
        defer { state.withLock { $0.ended += 1 } }
        var isDone = false
        try withConnection { (connection) throws(Errno) in
            guard connection.canZero else { return }
            var offset = range.lowerBound
            while offset < range.upperBound {
                let count = min(range.upperBound - offset, Self.longestZero)
                try connection.zero(at: offset, count: count, mayPunch: unmap)
                offset += count
            }
            isDone = true
        }
        if !isDone { try writeZeroes(range) }
    }

    /// Fails once after a connection was lost or made anew since the last good flush, so that what
    /// was written is written again.
    package func flush() throws(Errno) {
        do throws(Errno) {
            let before = try beginFlush()
            try withConnection { (connection) throws(Errno) in
                if connection.canFlush { try connection.flush() }
            }
            try endFlush(before)
        } catch {
            // The caller writes again what was written until now; there is nothing left to warn of.
            state.withLock { $0.toldLosses = $0.losses }
            throw error
        }
    }

    private func beginFlush() throws(Errno) -> (losses: Int, writes: Int) {
        let before = state.withLock { state -> (Int, Int)? in
            if state.mayHaveLost { return nil }
            state.toldLosses = state.losses
            // One that was begun may not be on the server yet.
            return (state.losses, state.ended)
        }
        guard let before else { throw Self.lost }
        return before
    }

    private func endFlush(_ before: (losses: Int, writes: Int)) throws(Errno) {
        let isGood = state.withLock { state in
            guard state.losses == before.losses else { return false }
            state.flushedWrites = before.writes
            return true
        }
        if !isGood { throw Self.lost }
    }

    package func close() { state.withLock { $0.idle = [] } }

    private static let lost = Errno.socketShutdown  // ESHUTDOWN

    /// Lends a connection, one that was lost made anew. Waits while all are in use.
    private func withConnection(
        _ body: (NBDConnection) throws(Errno) -> Void
    ) throws(Errno) {
        free.wait()
        // One that is connected goes first.
        let (found, generation) = state.withLock { state in
            state.idle.sort { left, right in left == nil && right != nil }
            return (state.idle.popLast() ?? nil, state.generation)
        }
        var lent = found
        defer {
            let given = lent
            state.withLock { $0.idle.append($0.generation == generation ? given : nil) }
            free.signal()
        }
        let connection: NBDConnection
        if let lent {
            connection = lent
        } else {
            connection = try reconnect()
            lent = connection
        }
        do throws(Errno) {
            try body(connection)
        } catch {
            guard connection.isLost else { throw error }
            lose(generation)
            throw Self.lost
        }
        // Another one was lost meanwhile: who knows whether this one leads to a server that is to
        // stay.
        if state.withLock({ $0.generation }) != generation { throw Self.lost }
    }

    /// A connection of this generation was lost. With it goes what else leads to the same server:
    /// one of those that is found lost later is no further loss, since nothing that it did after
    /// the first one counts (`withConnection`).
    private func lose(_ generation: Int) {
        // Closed outside of the lock.
        let dropped = state.withLock { state -> [NBDConnection?] in
            guard state.generation == generation else { return [] }
            state.losses += 1
            state.generation += 1
            defer { state.idle = state.idle.map { _ in nil } }
            return state.idle
        }
        withExtendedLifetime(dropped) {}
    }

    /// One connection, and others for those that are lost and nobody uses: one made later counts as
    /// a loss. The first of a generation does not: nothing that was written earlier in it can be
    /// lost.
    private func reconnect() throws(Errno) -> NBDConnection {
        let (generation, missing) = state.withLock { state in
            (state.generation, state.idle.count { $0 == nil })
        }
        let connection = try Self.connect(uri, bytes)
        var others: [NBDConnection] = []
        while others.count < missing, let other = try? Self.connect(uri, bytes) {
            others.append(other)
        }
        state.withLock { state in
            // The caller's work fails, and the connection goes.
            guard state.generation == generation else { return }
            if state.connected == generation { state.losses += 1 }
            state.connected = generation
            for index in state.idle.indices where state.idle[index] == nil {
                state.idle[index] = others.popLast()
            }
        }
        return connection
    }

    private static func connect(_ uri: String, _ bytes: UInt64) throws(Errno) -> NBDConnection {
        let connection = try NBDConnection(uri)
        // Another export now has its address.
        guard connection.size == bytes, !connection.isReadOnly else { throw .ioError }
        return connection
    }
}
