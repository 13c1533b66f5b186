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

/// A clock for how long things take; it counts from an instant of its own.
public enum Stopwatch {
    /// Corresponds to `clock_gettime(2)` with CLOCK_MONOTONIC.
    @inline(__always)
    public static var nanoseconds: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// This process.
public enum ThisProcess {
    /// Corresponds to `getpid(2)`.
    public static var id: Int { Int(getpid()) }
}
