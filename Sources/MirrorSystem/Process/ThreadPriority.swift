internal import CLinux
internal import Glibc
internal import Synchronization

/// How the scheduler treats the calling thread beside others.
public enum ThreadPriority {
    /// Runs `body` on what processors have to spare, where `isWanted`: whoever else wants the processor gets it at
    /// once, and counts it as free. Does nothing of that where the thread could not come back. Corresponds to
    /// `sched_setscheduler(2)` with SCHED_IDLE.
    public static func idle<Result>(_ isWanted: Bool, _ body: () -> Result) -> Result {
        guard isWanted, mayComeBack else { return body() }
        _ = set(SCHED_IDLE)
        defer { _ = set(SCHED_OTHER) }
        return body()
    }

    /// Tried once, on a thread that nobody needs.
    private static let mayComeBack: Bool = {
        let (tried, works) = (Latch(), Works())
        let started = PlainThread.start(stackSize: 64 << 10) {
            works.isSo.store(set(SCHED_IDLE) && set(SCHED_OTHER), ordering: .relaxed)
            tried.open()
        }
        if started { tried.wait() }
        return works.isSo.load(ordering: .relaxed)
    }()

    private final class Works: Sendable { let isSo = Atomic<Bool>(false) }

    private static func set(_ policy: Int32) -> Bool {
        var none = sched_param()
        return sched_setscheduler(0, policy, &none) == 0
    }

    /// Whether the calling thread has only what others leave.
    public static var isIdle: Bool { sched_getscheduler(0) == SCHED_IDLE }
}
