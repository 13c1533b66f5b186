internal import Glibc

/// Times that the engine shows to people.
public enum WallClock {
    /// Seconds and microseconds since 1970. Corresponds to `clock_gettime(2)` with CLOCK_REALTIME.
    public static var now: (seconds: Int, microseconds: Int) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return (time.tv_sec, time.tv_nsec / 1000)
    }
}

/// This process.
public enum ThisProcess {
    /// Corresponds to `getpid(2)`.
    public static var id: Int { Int(getpid()) }
}
