internal import CLinux
internal import Glibc

/// A signal that does nothing but end the system call that a thread waits in.
public enum ThreadSignal {
    /// Makes the signal harmless and calls that it meets end with EINTR. Corresponds to
    /// `sigaction(2)` without SA_RESTART.
    public static func prepare() {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(SIGUSR1, &action, nil)
    }

    /// The system's number of the calling thread. Corresponds to `gettid(2)`.
    public static var currentThread: Int32 { gettid() }

    /// Sends the signal to a thread of this process. Corresponds to `tgkill(2)`.
    public static func interrupt(_ thread: Int32) { _ = tgkill(getpid(), thread, SIGUSR1) }
}
