internal import Glibc
public import SystemPackage

/// A program that this one started, and waits for.
public struct ChildProcess: Sendable {
    public let id: Int32

    /// How it ended.
    public enum End: Hashable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }

    /// Starts `program` (found along PATH unless it holds a slash) with `arguments`, all signals
    /// unblocked. Every descriptor but 0, 1, 2 and `inherited` is closed in it. Corresponds to
    /// `posix_spawnp(3)`.
    ///
    /// - Parameters:
    ///   - output: where its descriptors 1 and 2 go; nil leaves them.
    ///   - errors: where its descriptor 2 goes; nil leaves it.
    ///   - inOwnGroup: whether it leads a process group of its own (`killGroup`).
    public init(
        _ program: String, _ arguments: [[UInt8]], inherited: FileDescriptor? = nil,
        output: FileDescriptor? = nil, errors: FileDescriptor? = nil, inOwnGroup: Bool = false
    ) throws(Errno) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // A descriptor duplicated onto itself loses its close-on-exec flag.
        if let inherited = inherited?.rawValue {
            posix_spawn_file_actions_adddup2(&actions, inherited, inherited)
        }
        if let output = output?.rawValue {
            posix_spawn_file_actions_adddup2(&actions, output, 1)
            posix_spawn_file_actions_adddup2(&actions, output, 2)
        }
        if let errors = errors?.rawValue {
            posix_spawn_file_actions_adddup2(&actions, errors, 2)
        }
        id = try spawn(program, arguments, &actions, inOwnGroup: inOwnGroup)
    }

    /// Waits for its end. Corresponds to `waitpid(2)`.
    public func wait() throws(Errno) -> End {
        var status: Int32 = 0
        _ = try retrying { waitpid(id, &status, 0) }
        return End(status)
    }

    /// Its end, or nil while it runs.
    public func poll() throws(Errno) -> End? {
        var status: Int32 = 0
        return try retrying { waitpid(id, &status, WNOHANG) } == 0 ? nil : End(status)
    }

    /// Asks it to end. Corresponds to `kill(2)` with SIGTERM.
    public func terminate() { kill(id, SIGTERM) }

    /// Ends it and all that it started, where it leads a group of its own. Corresponds to `kill(2)`
    /// with SIGKILL.
    public func killGroup() { kill(-id, SIGKILL) }
}

extension ChildProcess.End {
    init(_ status: Int32) {
        let signal = status & 0x7f
        self = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
    }
}

private func spawn(
    _ program: String, _ arguments: [[UInt8]], _ actions: inout posix_spawn_file_actions_t,
    inOwnGroup: Bool
) throws(Errno) -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    let group = inOwnGroup ? POSIX_SPAWN_SETPGROUP : 0
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | group))
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { argument in
        strdup(argument.map { CChar(bitPattern: $0) } + [0])
    }
    words.append(nil)
    defer { for word in words { free(word) } }
    var id = pid_t()
    let failure = posix_spawnp(&id, program, &actions, &attributes, words, environ)
    if failure != 0 { throw Errno(rawValue: failure) }
    return id
}
