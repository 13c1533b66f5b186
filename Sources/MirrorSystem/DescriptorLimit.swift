internal import Glibc

public enum DescriptorLimit {
    /// Raises the soft limit of open descriptors to the hard one; says what it is now.
    /// Corresponds to `setrlimit(2)` with RLIMIT_NOFILE.
    @discardableResult
    public static func raise() -> UInt64 {
        var limit = rlimit()
        guard getrlimit(openFiles, &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(openFiles, &limit)
        return UInt64(limit.rlim_cur)
    }
}

/// glibc declares the resource as an enumeration of its own.
private let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
