public import Logging
public import MirrorCore
public import MirrorSystem
public import SystemPackage

/// How a mount was asked for, as far as the engine needs to know.
public struct MountConfiguration: Sendable {
    /// Absolute, without symbolic links.
    public var source: FilePath
    /// Absolute, without symbolic links.
    public var mountpoint: FilePath
    /// `target=` of the mount: a job for every image; nil where jobs are started one by one.
    public var target: FilePath?
    /// Globs over relative paths: which images `target=` means. Empty `include` is all.
    public var include: [String] = []
    public var exclude: [String] = []
    /// Whether images created later get a job too.
    public var auto = false
    /// Group that may write `.mirror/control` beside the owner.
    public var controlGroup: UInt32?
    /// Parameters for the jobs that `target=` starts, as `key=value`.
    public var jobOptions: [String] = []

    public init(source: FilePath, mountpoint: FilePath) {
        self.source = source
        self.mountpoint = mountpoint
    }
}

/// What a command line written to `.mirror/control` came to.
public struct CommandResult: Sendable {
    /// The errno that the write(2) fails with; nil where it succeeded.
    public let errno: Errno?
    /// One line without its newline, `ok …` or `error …`: what reading the same handle gives.
    public let text: String

    public init(errno: Errno?, text: String) {
        self.errno = errno
        self.text = text
    }
}

/// One mount's images and jobs. Everything that FUSE and the command line ask for begins here.
public final class Engine: Sendable {
    public let configuration: MountConfiguration
    public let images = ImageRegistry()
    public let events: EventLog
    let log: Logger
    /// The source directory, opened O_PATH before the mount may hide it.
    let source: FileDescriptor

    public init(configuration: MountConfiguration, source: FileDescriptor, log: Logger) {
        self.configuration = configuration
        self.source = source
        self.log = log
        events = EventLog()
    }

    /// The mount is usable: starts the jobs that `target=` asks for.
    public func mounted() {}

    /// The mount ends: stops the copiers, says in each twin's attributes what it is worth.
    public func shutDown() {}

    /// Runs one line of `.mirror/control`. Returns at once; `reply` is called once, on any thread, when
    /// the command has taken effect or was refused.
    public func execute(_ line: [UInt8], reply: @escaping @Sendable (CommandResult) -> Void) {
        reply(CommandResult(errno: .notSupported, text: "error not built yet"))
    }

    /// The state of the mount and its jobs. Never waits for an image or a target (design, section 10).
    public func report() -> StatusReport {
        StatusReport(
            version: "0.1.0", source: configuration.source.string,
            mountpoint: configuration.mountpoint.string, uptime: 0, generation: 1, keeperPID: nil,
            workerPID: 0, jobs: [])
    }

    /// A file was created, linked or renamed into place in the mount (`auto=on` may start a job for it).
    public func created(_ identity: FileIdentity, at path: FilePath) {}

    /// The last name of a file went away in the mount: its jobs end as `cancelled`, with that reason.
    public func deleted(_ identity: FileIdentity) {}

    /// A name was given to a file or directory in the mount; both are relative to the source.
    public func renamed(from old: FilePath, to new: FilePath) { images.renamed(from: old, to: new) }
}
