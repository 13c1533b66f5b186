internal import CLinux
internal import Glibc
public import SystemPackage

/// What turns this process into one that serves a mount.
public enum DaemonProcess {
    /// Leaves the terminal and the directory that it was started from; descriptors 0 and 1 become
    /// /dev/null, and 2 unless `keepsErrors`. Corresponds to `setsid(2)`, `chdir(2)`, `dup2(2)`.
    public static func detach(keepsErrors: Bool) throws(Errno) {
        setsid()
        _ = try retrying { chdir("/") }
        let null = try retrying { Glibc.open("/dev/null", O_RDWR | O_CLOEXEC) }
        for descriptor: Int32 in keepsErrors ? [0, 1] : [0, 1, 2] {
            _ = try retrying { Glibc.dup2(null, descriptor) }
        }
        close(null)
    }

    /// Keeps no directory in use. Corresponds to `chdir(2)`.
    public static func leaveDirectory() { _ = chdir("/") }

    /// What `ps` and `pgrep` call the process, whatever link it was started by; at most 15 bytes.
    public static func setName(_ name: String) {
        guard let file = try? FileDescriptor.openBacking("/proc/self/comm", .writeOnly) else {
            return
        }
        defer { try? file.close() }
        _ = Glibc.write(file.rawValue, name, name.utf8.count)
    }

    /// Goes on as another program, or the same one anew, under the same process id; returns only
    /// where that fails. Descriptors that close on exec are closed. Corresponds to `execv(3)`.
    public static func become(_ program: String, _ arguments: [[UInt8]]) {
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { argument in
            strdup(argument.map { CChar(bitPattern: $0) } + [0])
        }
        words.append(nil)
        execv(program, words)
        for word in words { free(word) }
    }

    /// Raises the limit of open descriptors to the hard one. Corresponds to `setrlimit(2)`.
    public static func raiseDescriptorLimit() throws(Errno) {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        _ = try retrying { getrlimit(resource, &limit) }
        limit.rlim_cur = limit.rlim_max
        _ = try retrying { setrlimit(resource, &limit) }
    }

    /// How many descriptors this process may have, and the lowest number that is free: below it all
    /// are in use, and the next ones that are opened fill what is free from there on. Corresponds
    /// to `getrlimit(2)`, `open(2)`.
    public static func descriptors() throws(Errno) -> (most: Int, lowestFree: Int) {
        var limit = rlimit()
        _ = try retrying { getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
        let most = Int(clamping: limit.rlim_cur)
        let number = Glibc.open("/dev/null", O_PATH | O_CLOEXEC)
        if number < 0 { return (most, most) }
        close(number)
        return (most, Int(number))
    }

    /// Keeps the kernel from waiting, for memory, on writes that this process has to serve.
    /// Corresponds to `prctl(2)` with PR_SET_IO_FLUSHER; needs CAP_SYS_RESOURCE.
    public static func becomeIOFlusher() throws(Errno) {
        _ = try retrying { clinux_set_io_flusher() }
    }

    /// Makes the kernel kill others first when memory runs out: -1000 to 1000, below 0 for root
    /// alone.
    public static func setOOMScore(_ score: Int) throws(Errno) {
        let file = try FileDescriptor.openBacking("/proc/self/oom_score_adj", .writeOnly)
        defer { try? file.close() }
        let text = Array("\(score)".utf8)
        _ = try retrying { Glibc.write(file.rawValue, text, text.count) }
    }

    /// Lets writes to a pipe or terminal that is gone fail instead of ending the process.
    public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// Corresponds to `geteuid(2)`.
    public static var isRoot: Bool { geteuid() == 0 }
}
