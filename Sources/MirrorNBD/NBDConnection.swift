internal import CNBD
import SystemPackage

/// One connection to an NBD server. Not for several threads at once: whoever uses it has it alone.
///
/// `@unchecked Sendable`: the pool hands it to one thread at a time.
final class NBDConnection: @unchecked Sendable {
    private let handle: OpaquePointer

    /// Seconds that a server may take to answer before it counts as not there.
    private static let patience = ContinuousClock.Duration.seconds(10)

    /// Connects, with a time limit. Blocks.
    init(_ uri: String) throws(Errno) {
        guard let handle = nbd_create() else { throw .noMemory }
        self.handle = handle
        // From here on `deinit` closes it, also where this throws. Plain replies suffice: only
        // bytes are read.
        _ = try Self.checked(nbd_set_request_structured_replies(handle, false))
        _ = try Self.checked(nbd_aio_connect_uri(handle, uri))
        try Self.waitUntilReady(handle)
    }

    deinit { nbd_close(handle) }

    private static func waitUntilReady(_ handle: OpaquePointer) throws(Errno) {
        let end = ContinuousClock.now + patience
        while nbd_aio_is_connecting(handle) == 1 {
            let left = Int32((end - .now) / .milliseconds(1))
            guard left > 0 else { throw .timedOut }
            _ = try checked(nbd_poll(handle, left))
        }
        guard nbd_aio_is_ready(handle) == 1 else { throw .connectionRefused }
    }

    /// The thread's errno, as libnbd keeps it; what it does not know is an I/O error.
    private static func checked(_ result: Int32) throws(Errno) -> Int32 {
        if result >= 0 { return result }
        let number = nbd_get_errno()
        throw number == 0 ? .ioError : Errno(rawValue: number)
    }

    /// Whether the server is gone: the connection is of no more use.
    var isLost: Bool { nbd_aio_is_ready(handle) != 1 }

    var size: UInt64 { UInt64(max(0, nbd_get_size(handle))) }
    var isReadOnly: Bool { nbd_is_read_only(handle) == 1 }
    var canFlush: Bool { nbd_can_flush(handle) == 1 }
    var canZero: Bool { nbd_can_zero(handle) == 1 }
    /// Whether a flush on one connection covers what others have written.
    var canHaveSiblings: Bool { nbd_can_multi_conn(handle) == 1 }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) {
        guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
        _ = try Self.checked(nbd_pread(handle, base, buffer.count, offset, 0))
    }

    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        guard let base = data.baseAddress, !data.isEmpty else { return }
        _ = try Self.checked(nbd_pwrite(handle, base, data.count, offset, 0))
    }

    func zero(at offset: UInt64, count: UInt64, mayPunch: Bool) throws(Errno) {
        _ = try Self.checked(nbd_zero(handle, count, offset, mayPunch ? 0 : CNBD_NO_HOLE))
    }

    func flush() throws(Errno) { _ = try Self.checked(nbd_flush(handle, 0)) }
}
