internal import CLinux
internal import Glibc
public import SystemPackage

/// One end of a connection that keeps packets whole; each may carry a descriptor. A packet that was
/// sent waits for its reader, also when the sender is dead by then.
public struct PacketSocket: Sendable {
    public let descriptor: FileDescriptor

    public init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

    /// Corresponds to `socketpair(2)` with SOCK_SEQPACKET.
    public static func pair() throws(Errno) -> (PacketSocket, PacketSocket) {
        var ends: [Int32] = [0, 0]
        _ = try retrying { clinux_packet_pair(&ends) }
        for end in ends { clinux_widen_socket(end, 4 << 20) }
        return (Self(FileDescriptor(rawValue: ends[0])), Self(FileDescriptor(rawValue: ends[1])))
    }

    /// Sends `bytes` (not empty) with a duplicate of `passed`. Corresponds to `sendmsg(2)`.
    ///
    /// - Throws: `.resourceTemporarilyUnavailable` where the socket is full and `waits` is false.
    public func send(
        _ bytes: [UInt8], passing passed: FileDescriptor? = nil, waits: Bool = true
    ) throws(Errno) {
        _ = try retrying {
            clinux_send_packet(
                descriptor.rawValue, bytes, bytes.count, passed?.rawValue ?? -1, waits ? 1 : 0, nil)
        }
    }

    /// The next packet, and the descriptor that came with it, the caller's to close; nil where the
    /// other end is closed and nothing waits. Corresponds to `recvmsg(2)`.
    public func receive(
        waits: Bool = true
    ) throws(Errno) -> (bytes: [UInt8], passed: FileDescriptor?)? {
        var (buffer, passed) = ([UInt8](repeating: 0, count: 4096), Int32(-1))
        do throws(Errno) {
            let count = try retrying {
                clinux_receive_packet(
                    descriptor.rawValue, &buffer, buffer.count, &passed, waits ? 1 : 0)
            }
            if count == 0 { return nil }
            return (
                Array(buffer[..<count]), passed == -1 ? nil : FileDescriptor(rawValue: passed)
            )
        } catch .connectionReset {
            // Said once, and first, when the other end was closed with something unread; what it
            // had sent still waits.
            return try receive(waits: waits)
        }
    }

    public func close() { try? descriptor.close() }
}

extension FileDescriptor {
    /// Keeps programs that are started from here from inheriting it. Corresponds to `fcntl(2)` with
    /// F_SETFD.
    public func closeOnExec() throws(Errno) {
        _ = try retrying { fcntl(rawValue, F_SETFD, FD_CLOEXEC) }
    }

    /// Lets programs that are started from here inherit it.
    public func keepOnExec() throws(Errno) { _ = try retrying { fcntl(rawValue, F_SETFD, 0) } }
}
