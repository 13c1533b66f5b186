import Dispatch
public import MirrorCore
public import MirrorEngine
import Synchronization
public import SystemPackage

/// An NBD export as a target's store: of fixed size, and full of somebody's old bytes.
///
/// It has one connection, or a few where the server says that a flush on one covers all of them. A call
/// that finds its connection lost fails; the next one connects anew.
public final class NBDStore: TwinStore {
    private static let mostConnections = 4
    /// Longest range of one request, below the protocol's 32 bits.
    private static let longestZero: UInt64 = 1 << 30

    private let uri: String
    private let bytes: UInt64
    private let free: DispatchSemaphore
    /// What the lock protects; no call on a connection is made under it.
    private let state: Mutex<State>

    private struct State {
        /// Connections that nobody uses; nil where one was lost and is to be made anew.
        var idle: [NBDConnection?]
        /// Something was written since the last flush.
        var isDirty = false
        /// A connection was lost with writes not flushed: a server that comes back may have forgotten them.
        var mayHaveLost = false
    }

    /// Connects to a server. Blocks, for ten seconds at most where nobody answers.
    ///
    /// - Parameter uri: `nbd://host:port/export` or `nbd+unix:///export?socket=/path`.
    public static func open(_ uri: String) throws(CommandError) -> any TwinStore {
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
        let count = first.canHaveSiblings ? Self.mostConnections : 1
        free = DispatchSemaphore(value: count)
        state = Mutex(State(idle: [NBDConnection?](repeating: nil, count: count - 1) + [first]))
    }

    /// A guest cannot go on on another machine's export.
    public var local: FileDescriptor? { nil }
    public var capacity: UInt64? { bytes }
    public var blockSize: Int { ZeroScan.block }
    public func size() -> UInt64 { bytes }
    public func setSize(_ size: UInt64) throws(Errno) {
        if size > bytes { throw .noSpace }
    }

    public func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        let count = Int(min(UInt64(buffer.count), bytes > offset ? bytes - offset : 0))
        let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        try withConnection { (connection) throws(Errno) in
            try connection.read(into: piece, at: offset)
        }
        return count
    }

    public func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        state.withLock { $0.isDirty = true }
        try withConnection { (connection) throws(Errno) in
            try connection.write(data, at: offset)
        }
    }

    public func zero(_ range: ByteRange, unmap: Bool) throws(Errno) {
        state.withLock { $0.isDirty = true }
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

    /// Fails once after a connection with unflushed writes was lost, so that they are written again.
    public func flush() throws(Errno) {
        let mayHaveLost = state.withLock { state in
            defer { (state.mayHaveLost, state.isDirty) = (false, false) }
            return state.mayHaveLost
        }
        if mayHaveLost { throw Self.lost }
        do throws(Errno) {
            try withConnection { (connection) throws(Errno) in
                if connection.canFlush { try connection.flush() }
            }
        } catch {
            // The caller writes all of it again; there is nothing left to warn of.
            state.withLock { $0.mayHaveLost = false }
            throw error
        }
    }

    public func close() { state.withLock { $0.idle = [] } }

    private static let lost = Errno(rawValue: 108)  // ESHUTDOWN

    /// Lends a connection, one that was lost made anew. Waits while all are in use.
    private func withConnection(
        _ body: (NBDConnection) throws(Errno) -> Void
    ) throws(Errno) {
        free.wait()
        // One that is connected goes first.
        var lent = state.withLock { state in
            state.idle.sort { left, right in left == nil && right != nil }
            return state.idle.popLast() ?? nil
        }
        defer {
            if lent?.isLost == true { lent = nil }
            let given = lent
            state.withLock { $0.idle.append(given) }
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
            state.withLock { $0.mayHaveLost = $0.mayHaveLost || $0.isDirty }
            throw Self.lost
        }
    }

    private func reconnect() throws(Errno) -> NBDConnection {
        let connection = try NBDConnection(uri)
        // Another export now has its address.
        guard connection.size == bytes, !connection.isReadOnly else { throw .ioError }
        return connection
    }
}
