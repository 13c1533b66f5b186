internal import Glibc

/// The system's log. Corresponds to `syslog(3)`.
public enum SystemLog {
    /// Call once, before the first `write`.
    public static func open() { openlog("twinfs", LOG_PID, LOG_DAEMON) }

    /// - Parameter priority: 3 error, 4 warning, 5 notice, 6 information, 7 debugging.
    public static func write(_ text: String, priority: Int32) {
        text.withCString { text in
            withVaList([text]) { vsyslog(priority, "%s", $0) }
        }
    }
}
