internal import Glibc
public import SystemPackage

extension FilePath {
    /// Where a symbolic link leads; nil where this is none. Corresponds to `readlink(2)`.
    public func linkDestination() -> FilePath? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = withPlatformString { readlink($0, &buffer, Int(PATH_MAX)) }
        return count < 0 ? nil : FilePath(platformString: buffer)
    }

    /// The content of a small file, at most `limit` bytes.
    public func content(limit: Int = 64 << 20) throws(Errno) -> [UInt8] {
        let file = try FileDescriptor.openBacking(self, .readOnly)
        defer { try? file.close() }
        return try file.rest(limit: limit)
    }

    /// Whether the directory holds nothing. Corresponds to `readdir(3)`.
    public func isEmptyDirectory() throws(Errno) -> Bool {
        guard let stream = withPlatformString({ opendir($0) }) else { throw Errno(rawValue: errno) }
        defer { closedir(stream) }
        for _ in 0..<3 where readdir(stream) == nil { return true }
        return false
    }

    /// Makes an empty directory with a name of its own that begins with this path. Corresponds to
    /// `mkdtemp(3)`.
    public func makeTemporaryDirectory() throws(Errno) -> FilePath {
        var template = (bytes + Array("XXXXXX".utf8)).map { CChar(bitPattern: $0) } + [0]
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        return FilePath(platformString: template)
    }
}

extension FileDescriptor {
    /// Everything from the present position to the end, at most `limit` bytes. Corresponds to
    /// `read(2)`.
    public func rest(limit: Int = 64 << 20) throws(Errno) -> [UInt8] {
        var (content, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 65536))
        while content.count < limit {
            let count = try retrying { Glibc.read(rawValue, &buffer, min(buffer.count, limit)) }
            if count == 0 { break }
            content += buffer[..<count]
        }
        return content
    }

    /// Writes `bytes` with one call, as files that take a command a write need. Corresponds to
    /// `write(2)`.
    public func writeAtOnce(_ bytes: [UInt8]) throws(Errno) {
        let count = try retrying { Glibc.write(rawValue, bytes, bytes.count) }
        if count != bytes.count { throw .ioError }
    }

    /// Waits until there is something to read, or `milliseconds` passed. Corresponds to `poll(2)`.
    public func waitReadable(milliseconds: Int) throws(Errno) -> Bool {
        var wanted = pollfd(fd: rawValue, events: Int16(POLLIN), revents: 0)
        return try retrying { poll(&wanted, 1, Int32(milliseconds)) } > 0
    }

    /// Takes the lock that says who serves a directory, for as long as this open file lives;
    /// `.resourceTemporarilyUnavailable` where somebody else has it. Corresponds to `flock(2)`.
    public func lockDirectory() throws(Errno) {
        _ = try retrying { flock(rawValue, LOCK_EX | LOCK_NB) }
    }

    /// A pipe that programs started from here do not inherit by themselves. Corresponds to
    /// `pipe2(2)`.
    public static func closeOnExecPipe() throws(Errno) -> (
        readEnd: FileDescriptor, writeEnd: FileDescriptor
    ) {
        var ends: [Int32] = [0, 0]
        _ = try retrying { Glibc.pipe2(&ends, O_CLOEXEC) }
        return (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
    }

    /// Corresponds to `isatty(3)`.
    public var isTerminal: Bool { isatty(rawValue) == 1 }

    /// The width of the terminal in characters; 80 where it is none. Corresponds to `ioctl(2)` with
    /// TIOCGWINSZ.
    public var terminalWidth: Int {
        var size = winsize()
        guard ioctl(rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
