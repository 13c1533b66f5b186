internal import CLinux
internal import Glibc
internal import SystemPackage

/// The machine and its boots.
public enum Machine {
    /// The id of this boot; the same until the machine is started anew. Empty where the system has
    /// none.
    public static let boot: String = {
        guard
            let file = try? FileDescriptor.open("/proc/sys/kernel/random/boot_id", .readOnly)
        else { return "" }
        defer { try? file.close() }
        let id = file.bytes(at: 0, count: 64).prefix { $0 > UInt8(ascii: " ") }
        return String(decoding: id, as: UTF8.self)
    }()

    /// How many processors there are. Corresponds to `sysconf(3)` with _SC_NPROCESSORS_ONLN.
    public static let processors = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))

    /// Nanoseconds since 1970. Corresponds to `clock_gettime(2)` with CLOCK_REALTIME.
    public static var nanoseconds: Int64 { now(CLOCK_REALTIME) }

    /// When this boot began, in nanoseconds since 1970 as the clock stands now. Corresponds to
    /// `clock_gettime(2)` with CLOCK_BOOTTIME.
    public static var bootTime: Int64 { now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME) }

    private static func now(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
