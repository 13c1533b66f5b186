import Dispatch
package import Logging
package import MirrorCore
package import MirrorImage
package import MirrorJob
package import MirrorState
package import MirrorSystem
package import MirrorTarget
import Synchronization
package import SystemPackage

/// One mount's images and jobs. Everything that FUSE and the command line ask for begins here.
package final class Engine: Sendable {
    package let configuration: MountConfiguration
    package let images = ImageRegistry()
    package let events: EventLog
    /// Which images are served from another file than their own.
    package let serving: ServedImages
    let jobs = JobRegistry()
    let checkpoints: Checkpoints
    let records: JobRecords
    /// For lanes, so that two hundred jobs do not mean two thousand threads. A job's first lane
    /// needs none: a target that hangs can slow the others down, but not stop them.
    let permits = Permits(16)
    /// For request threads that write to twins themselves: so many of them may hang with a target,
    /// while the others serve.
    let forwardPermits = Permits(8)
    let log: Logger
    /// The source directory, opened before the mount may hide it.
    let source: FileDescriptor
    /// What a test has put between twins and their stores.
    package let targetFilter: (any TargetFilter)?
    /// Between two looks of a job at what was written, for its write-intent logs.
    let intentPeriod: Duration
    /// Holds what the next worker needs.
    let keeper: any Keeper
    let notices = ProcessNotices()
    private let started = ContinuousClock.now

    /// How a target that is a URI is connected to; nil where no client is built in.
    let opener: TwinStoreOpener?

    /// - Parameters:
    ///   - source: the source directory, O_PATH or readable; stays the caller's to close.
    ///   - keeper: holds what must outlive this process but not the host.
    package convenience init(
        configuration: MountConfiguration, source: FileDescriptor, log: Logger,
        keeper: any Keeper = LocalKeeper(), opener: TwinStoreOpener? = nil
    ) {
        self.init(
            configuration: configuration, source: source, log: log, targetFilter: nil,
            keeper: keeper, opener: opener)
    }

    /// - Parameter intentPeriod: a test that waits for logs to be cleared has less time than a
    ///   guest.
    init(
        configuration: MountConfiguration, source: FileDescriptor, log: Logger,
        targetFilter: (any TargetFilter)?,
        keeper: any Keeper = LocalKeeper(), opener: TwinStoreOpener? = nil,
        intentPeriod: Duration = IntentCare.period
    ) {
        self.configuration = configuration
        self.targetFilter = targetFilter
        self.intentPeriod = intentPeriod
        self.keeper = keeper
        events = EventLog(generation: keeper.predecessors)
        self.opener = opener
        self.source = source
        self.log = log
        let images = images
        serving = ServedImages(
            directory: configuration.stateDirectory.map { StateDirectory(path: $0) },
            source: source, sourcePath: configuration.source, log: log,
            isInUse: { images.knows($0) })
        checkpoints = Checkpoints(
            directory: configuration.stateDirectory.map { StateDirectory(path: $0) }, log: log)
        records = JobRecords(
            directory: configuration.stateDirectory.map { StateDirectory(path: $0) }, log: log)
        if records.directory == nil {
            log.warning("no state directory: jobs end with this process; mount with statedir=")
        }
        serving.load()
        loadCheckpoints()
        loadJobs()
    }

    /// The state of the mount and its jobs. Never waits for an image or a target (docs/control.md).
    package func report() -> StatusReport {
        StatusReport(
            version: Version.text, source: shown(configuration.source),
            mountpoint: shown(configuration.mountpoint),
            uptime: Int((ContinuousClock.now - started) / .seconds(1)),
            generation: keeper.predecessors + 1,
            keeperPID: keeper.process.map { Int($0) },
            workerPID: ThisProcess.id,
            jobs: jobs.ended.map(\.report) + jobs.all.map { $0.report() },
            served: serving.reports,
            warnings: processWarnings + serving.warnings + checkpoints.warnings
                + records.warnings + jobs.all.compactMap { $0.intentWarning })
    }

    func tell(_ event: EventLog.Name, _ job: JobReport) {
        events.append(event, job)
        log.info(
            "\(event.word)",
            metadata: [
                "job": "\(job.id)", "status": "\(job.status.rawValue)",
                "error": "\(job.error ?? "none")",
            ])
    }
}

/// How a mount was asked for, as far as the engine needs to know.
package struct MountConfiguration: Sendable {
    /// Absolute, without symbolic links.
    package var source: FilePath
    /// Absolute, without symbolic links.
    package var mountpoint: FilePath
    /// `target=` of the mount: a job for every image; nil where jobs are started one by one.
    package var target: FilePath?
    /// Globs over relative paths: which images `target=` means. Empty `include` is all.
    package var include: [String] = []
    package var exclude: [String] = []
    /// Whether images created later get a job too.
    package var auto = false
    /// Group that may write `.mirror/control` beside the owner.
    package var controlGroup: UInt32?
    /// Where to keep what must outlive the daemon; made when it is first needed. Nil where there is
    /// no place: no image can be switched to its twin then.
    package var stateDirectory: FilePath?
    /// What `mirror` takes for parameters that are not given, and what the jobs of `target=` run
    /// with.
    package var defaults = JobParameters()
    /// Whether write-intent logs let everything pass and are believed all the same: for tests that
    /// show what they are good for.
    package var ignoresIntents = false

    package init(source: FilePath, mountpoint: FilePath) {
        self.source = source
        self.mountpoint = mountpoint
    }
}
