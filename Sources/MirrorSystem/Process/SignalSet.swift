internal import CLinux
internal import Glibc
public import SystemPackage

/// Signals that are waited for instead of handled.
public struct SignalSet: Sendable {
    public enum Signal: Int32, Sendable {
        case hangUp = 1
        case interrupt = 2
        /// Can be sent, not waited for.
        case kill = 9
        case terminate = 15
    }

    private let signals: [Signal]

    public init(_ signals: [Signal]) { self.signals = signals }

    private var raw: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal.rawValue) }
        return set
    }

    /// Keeps them pending for `wait`. Call before any thread is started: threads inherit the mask.
    /// Corresponds to `pthread_sigmask(3)`.
    public func block() {
        var set = raw
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the next of them. Corresponds to `sigwait(3)`.
    public func wait() -> Signal {
        var (set, number) = (raw, Int32(0))
        while true {
            if sigwait(&set, &number) == 0, let signal = Signal(rawValue: number) { return signal }
        }
    }

    /// The next of them, or nil where none comes within `milliseconds`. Corresponds to
    /// `sigtimedwait(2)`.
    public func wait(milliseconds: Int) -> Signal? {
        var set = raw
        var time = timespec(
            tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
        return Signal(rawValue: sigtimedwait(&set, nil, &time))
    }

    /// A descriptor that is readable while one of them is pending; they must be blocked.
    /// Corresponds to `signalfd(2)`.
    public func descriptor() throws(Errno) -> FileDescriptor {
        var set = raw
        return FileDescriptor(rawValue: try retrying { clinux_signal_descriptor(&set) })
    }

    /// The next signal that `descriptor` tells of; nil where there is none.
    public static func next(from descriptor: FileDescriptor) -> Signal? {
        Signal(rawValue: clinux_next_signal(descriptor.rawValue))
    }
}
