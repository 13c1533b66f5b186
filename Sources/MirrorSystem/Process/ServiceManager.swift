internal import CLinux
internal import Glibc
public import SystemPackage

/// The service manager that started this process, as far as it wants to hear: sd_notify(3)'s
/// datagrams. Used by one thread.
public struct ServiceManager {
    /// Microseconds after which it takes the service for hung; nil where it does not watch.
    public let watchdog: Int?
    private let address: String
    private let socket: FileDescriptor
    /// What did not fit into the socket, oldest first: a message with its descriptor is never
    /// dropped.
    private var waiting: [(text: String, passed: FileDescriptor?)] = []

    /// Nil where nobody listens.
    public init?() {
        guard let address = Environment["NOTIFY_SOCKET"], let first = address.first,
            first == "/" || first == "@",
            let socket = try? retrying({ Glibc.socket(AF_UNIX, 2 | Int32(O_CLOEXEC), 0) })
        else { return nil }
        self.address = address
        self.socket = FileDescriptor(rawValue: socket)
        watchdog = Environment["WATCHDOG_USEC"].flatMap { Int($0) }
    }

    public var hasWaiting: Bool { !waiting.isEmpty }

    public mutating func say(_ text: String, passing passed: FileDescriptor? = nil) {
        waiting.append((text, passed.flatMap { try? $0.duplicated() }))
        flush()
    }

    /// Sends what waits, as far as it fits.
    public mutating func flush() {
        while let next = waiting.first {
            do throws(Errno) {
                let bytes = Array(next.text.utf8)
                _ = try retrying {
                    clinux_send_packet(
                        socket.rawValue, bytes, bytes.count, next.passed?.rawValue ?? -1, 0, address
                    )
                }
            } catch .resourceTemporarilyUnavailable {
                return
            } catch {
                // Nobody listens any more.
            }
            try? next.passed?.close()
            waiting.removeFirst()
        }
    }

    /// The descriptors that the manager kept for this process, by name, each to be closed by the
    /// caller. Once; programs started from here do not inherit them. Corresponds to
    /// `sd_listen_fds_with_names(3)`.
    public static func stored() -> [String: FileDescriptor] {
        guard let process = Environment["LISTEN_PID"], Int32(process) == getpid(),
            let count = Environment["LISTEN_FDS"].flatMap({ Int32($0) }), count > 0
        else { return [:] }
        let names = (Environment["LISTEN_FDNAMES"] ?? "").split(
            separator: ":", omittingEmptySubsequences: false)
        var files: [String: FileDescriptor] = [:]
        for (index, name) in names.enumerated() where index < Int(count) {
            let number = Int32(3 + index)
            _ = fcntl(number, F_SETFD, FD_CLOEXEC)
            files[String(name)] = FileDescriptor(rawValue: number)
        }
        return files
    }
}
