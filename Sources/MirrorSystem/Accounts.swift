internal import Glibc

/// Users and groups by name.
public enum Accounts {
    /// The id of a group given by name or number; nil where there is none. Corresponds to
    /// `getgrnam(3)`.
    public static func group(_ name: String) -> UInt32? {
        UInt32(name) ?? getgrnam(name)?.pointee.gr_gid
    }

    /// The home directory of the user that this process runs as, whatever the environment says; nil
    /// where the user database has none. Corresponds to `getpwuid(3)`.
    public static var home: String? {
        getpwuid(geteuid())?.pointee.pw_dir.map { String(cString: $0) }
    }
}

/// Values of the environment.
public enum Environment {
    /// Corresponds to `getenv(3)`.
    public static subscript(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// For programs that are started from here, unless it is set already. Corresponds to
    /// `setenv(3)`.
    public static func preset(_ name: String, _ value: String) { setenv(name, value, 0) }
}

/// A clock that never goes back.
public enum SteadyClock {
    /// Milliseconds since some moment. Corresponds to `clock_gettime(2)` with CLOCK_MONOTONIC.
    public static var milliseconds: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    /// Corresponds to `nanosleep(2)`.
    public static func sleep(milliseconds: Int) { usleep(UInt32(milliseconds) * 1000) }
}
