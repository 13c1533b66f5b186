internal import CLinux
internal import Glibc

/// Threads outside of Dispatch, for loops that block in the kernel.
public enum PlainThread {
    /// Runs `body` on a new detached thread. False where the system gives none.
    public static func start(stackSize: Int, _ body: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackSize)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let box = Unmanaged.passRetained(Body(body))
        var thread = pthread_t()
        let result = pthread_create(&thread, &attributes, runBody, box.toOpaque())
        if result != 0 { box.release() }
        return result == 0
    }

    /// Keeps the calling thread asleep. Corresponds to `usleep(3)`.
    public static func sleep(_ duration: Duration) {
        _ = usleep(UInt32(max(0, duration / .microseconds(1))))
    }
}

private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func runBody(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
    return nil
}
