internal import CLinux
internal import Glibc
public import SystemPackage

/// A process by descriptor: its id cannot come to mean another one. Need not be a child of this
/// one.
public struct ProcessHandle: Sendable {
    public let id: Int32
    /// Readable once the process has ended.
    ///
    /// That is after its last thread has left the kernel and its files are closed: no write that it
    /// had begun can land afterwards. Rule R3 rests on this when a successor starts to copy.
    public let descriptor: FileDescriptor

    /// Corresponds to `pidfd_open(2)`.
    public init(_ id: Int32) throws(Errno) {
        self.id = id
        descriptor = FileDescriptor(rawValue: try retrying { clinux_open_process(id) })
    }

    /// What another process has opened and passed on.
    public init(_ id: Int32, adopting descriptor: FileDescriptor) {
        (self.id, self.descriptor) = (id, descriptor)
    }

    /// Corresponds to `pidfd_send_signal(2)`.
    public func send(_ signal: SignalSet.Signal) {
        _ = clinux_signal_process(descriptor.rawValue, signal.rawValue)
    }

    /// Takes the end of a child that has ended; nil where it is not this process's child.
    /// Corresponds to `waitid(2)` with P_PIDFD.
    public func reap() -> ChildProcess.End? {
        var (isSignal, value): (Int32, Int32) = (0, 0)
        guard clinux_reap(descriptor.rawValue, &isSignal, &value) > 0 else { return nil }
        return isSignal == 0 ? .exited(value) : .signalled(value)
    }

    public func close() { try? descriptor.close() }
}

extension ChildProcess.End: CustomStringConvertible {
    /// `ended with exit code 3`, `was killed by SIGSEGV`.
    public var description: String {
        switch self {
        case .exited(let code): return "ended with exit code \(code)"
        case .signalled(let number):
            let name = sigabbrev_np(number).map { "SIG" + String(cString: $0) }
            return "was killed by \(name ?? "signal \(number)")"
        }
    }

    public var isKill: Bool { self == .signalled(SIGKILL) }
}

/// Waiting for the first of several descriptors.
public enum Polling {
    /// Which of them can be read (or are at their end), or written where `writing` asks for that;
    /// all false where the time passes. Corresponds to `poll(2)`.
    ///
    /// - Parameter milliseconds: nil waits without end.
    public static func wait(
        _ wanted: [(descriptor: FileDescriptor, writing: Bool)], milliseconds: Int?
    ) -> [(readable: Bool, writable: Bool)] {
        var list = wanted.map { descriptor, writing in
            pollfd(
                fd: descriptor.rawValue, events: Int16(writing ? POLLIN | POLLOUT : POLLIN),
                revents: 0)
        }
        let time = Int32(clamping: milliseconds ?? -1)
        guard poll(&list, nfds_t(list.count), time) > 0 else {
            return wanted.map { _ in (false, false) }
        }
        return list.map { entry in
            let found = Int32(entry.revents)
            return (found & (POLLIN | POLLHUP | POLLERR) != 0, found & POLLOUT != 0)
        }
    }

    /// Whether what the descriptor stands for is gone: `/dev/fuse` after its mount has ended.
    public static func isBroken(_ descriptor: FileDescriptor) -> Bool {
        var entry = pollfd(fd: descriptor.rawValue, events: 0, revents: 0)
        return poll(&entry, 1, 0) > 0 && Int32(entry.revents) & (POLLERR | POLLNVAL) != 0
    }
}
