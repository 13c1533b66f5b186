import Logging
import MirrorCore
import MirrorSystem
import SystemPackage

/// Where a daemon's log goes, a line an entry.
struct DaemonLog: LogHandler {
    enum Sink: Sendable {
        /// Plain lines, to a terminal or a file.
        case lines(FileDescriptor)
        /// Lines that begin with their priority, as journald takes them from standard error.
        case journal
        case systemLog
    }

    let sink: Sink
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    init(_ sink: Sink) { self.sink = sink }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let more = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let text = "\(event.message)\(more)"
        switch sink {
        case .lines(let file): write("twinfs: \(event.level): \(text)\n", file)
        case .journal: write("<\(Self.priority(event.level))>\(text)\n", .standardError)
        case .systemLog: SystemLog.write(text, priority: Self.priority(event.level))
        }
    }

    private func write(_ line: String, _ file: FileDescriptor) {
        _ = try? file.writeAll(Array(line.utf8))
    }

    /// syslog's numbers.
    private static func priority(_ level: Logger.Level) -> Int32 {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}

extension DaemonLog.Sink {
    /// `file`; else the journal where one listens, standard error in the foreground, or syslog.
    static func choose(foreground: Bool, file: FilePath?) throws -> Self {
        if let file {
            do throws(Errno) {
                return .lines(try .openBacking(file, .writeOnly, [.create, .append]))
            } catch { throw Failure(.badOption, "log=\(file): \(error)") }
        }
        if isJournal(.standardError) { return .journal }
        if foreground { return .lines(.standardError) }
        SystemLog.open()
        return .systemLog
    }

    /// systemd tells a service which file the journal listens at (systemd.exec(5)).
    private static func isJournal(_ file: FileDescriptor) -> Bool {
        guard let stream = Environment["JOURNAL_STREAM"],
            let identity = try? file.status().identity
        else { return false }
        return stream == "\(identity.device):\(identity.inode)"
    }

    var usesStandardError: Bool {
        if case .journal = self { true } else { false }
    }

    /// The file that the log goes to, for the processes after this one: its path is looked up once.
    var file: FileDescriptor? {
        if case .lines(let file) = self, file != .standardError { file } else { nil }
    }
}

extension DaemonLog {
    /// Begins the log of a process of the mount.
    ///
    /// - Parameter kept: the file that another process of the mount has opened for it.
    static func begin(_ mount: ServedMount, kept: FileDescriptor?) throws -> Logger {
        let file = mount.request.log.map { FilePath(bytes: $0) }
        return begin(
            try kept.map { .lines($0) } ?? .choose(foreground: mount.foreground, file: file), mount)
    }

    static func begin(_ sink: Sink, _ mount: ServedMount) -> Logger {
        var handler = DaemonLog(sink)
        handler.logLevel = mount.request.isDebugging ? .debug : .info
        let chosen = handler
        LoggingSystem.bootstrap { _ in chosen }
        return Logger(label: "twinfs")
    }
}
