/// What a mount says of itself: the content of `.mirror/status.json`, and what `status` and
/// `metrics` are rendered from. Sizes are bytes, times seconds unless the name says otherwise.
/// The keys are QEMU's where it has one; they are stable.
public struct StatusReport: Codable, Sendable {
    public var version: String
    public var source: String
    public var mountpoint: String
    /// Seconds since the mount became usable.
    public var uptime: Int
    /// Counts the workers that have served this mount.
    public var generation: Int
    public var keeperPID: Int?
    public var workerPID: Int
    public var jobs: [JobReport]
    /// Images that were switched to a twin and not back.
    public var served: [ServedReport]
    /// What is wrong beside the jobs, and what to do about it; a line each.
    public var warnings: [String]

    public init(
        version: String, source: String, mountpoint: String, uptime: Int, generation: Int,
        keeperPID: Int?, workerPID: Int, jobs: [JobReport], served: [ServedReport] = [],
        warnings: [String] = []
    ) {
        self.version = version
        self.source = source
        self.mountpoint = mountpoint
        self.uptime = uptime
        self.generation = generation
        self.keeperPID = keeperPID
        self.workerPID = workerPID
        self.jobs = jobs
        self.served = served
        self.warnings = warnings
    }

    fileprivate enum CodingKeys: String, CodingKey {
        case version, source, mountpoint, uptime, generation
        case keeperPID = "keeper-pid"
        case workerPID = "worker-pid"
        case jobs, served, warnings
    }
}

/// An image in a `StatusReport` that another file serves than its own.
public struct ServedReport: Codable, Equatable, Sendable {
    public var image: String
    /// The file that serves it.
    public var twin: String
    /// Which of the mount's switch-overs that was.
    public var generation: Int

    public init(image: String, twin: String, generation: Int) {
        (self.image, self.twin, self.generation) = (image, twin, generation)
    }
}

/// One job in a `StatusReport`.
public struct JobReport: Codable, Sendable {
    public var id: String
    public var images: [String]
    public var target: String
    /// Which file serves the image in the mount: `source` for its own, else the twin's path.
    public var serving: String
    /// `bulk`, `ready`, …: our word for the phase.
    public var phase: JobMachine.Phase
    /// QEMU's JobStatus word for the same: `running`, `ready`, `paused`, `standby`, `concluded` …
    public var status: JobStatus
    public var sync: JobParameters.Sync
    /// What is done now, never `auto`.
    public var copyMode: JobParameters.CopyMode
    public var granularity: Int
    /// QEMU's progress pair: `offset` of `len` bytes are done; equal only when in sync.
    public var len: Int
    public var offset: Int
    /// Bytes that the bulk phase set out to copy (data extents of the image).
    public var totalBytes: Int
    /// Bytes written to the target so far, recopied ones counted again.
    public var copiedBytes: Int
    /// Bytes that differ, or may differ, and wait for the copier.
    public var dirtyBytes: Int
    /// Bytes that the copier has taken and not finished.
    public var inFlightBytes: Int
    public var skippedZeroBytes: Int
    /// How many times the copier has gone through the dirty extents.
    public var passes: Int
    /// Ceiling in bytes a second; 0 is none.
    public var speed: Int
    /// Bytes a second copied lately.
    public var rate: Int
    /// Bytes a second dirtied lately.
    public var dirtyRate: Int
    /// Seconds until in sync; null where not known or not converging.
    public var eta: Int?
    public var converging: Bool
    public var ready: Bool
    public var activelySynced: Bool
    /// What the twin is worth now.
    public var targetState: TwinWorth
    /// Of an outdated twin: when the image was what the twin is, seconds since 1970; else null.
    public var inSyncTime: Int?
    /// QEMU's BlockDeviceIoStatus.
    public var ioStatus: JobMachine.IOStatus
    public var paused: Bool
    /// What is wrong and what to do, or how an ended job failed; null where all is well.
    public var error: String?
    public var errorsSource: Int
    public var errorsTarget: Int
    /// How long the last cut held guest writes, microseconds.
    public var lastPauseUs: Int?
    /// How long a cut would hold guest writes now, microseconds.
    public var expectedPauseUs: Int?
    /// Open handles of the image in the mount.
    public var opens: Int
    /// How the job came back after a restart.
    public var resumed: ReturnProof
    /// What was left to copy when it came back; null where it did not.
    public var resumedBytes: Int?
    /// When the twin was cut, seconds since 1970; null while the job lives.
    public var cutTime: Int?
    /// 1 once the twin was cut; null while the job lives.
    public var cutGeneration: Int?

    /// Whether source and twin are being compared (`verify`).
    public var verifying = false
    /// What the last `verify` has compared so far; this and the others are null before the first
    /// one.
    public var verifiedBytes: Int?
    /// Of these, how many differed.
    public var mismatchedBytes: Int?
    /// Of these, how many were marked to be copied again.
    public var repairedBytes: Int?
    /// What differed at first sight and was being written all the time, or waited for the copier.
    public var unverifiedBytes: Int?
    /// Why the last `verify` ended before it had compared everything.
    public var verifyError: String?

    public init(id: String, images: [String], target: String) {
        self.id = id
        self.images = images
        self.target = target
        (serving, phase, status, sync) = (Self.ownFile, .created, .created, .full)
        (copyMode, granularity, len, offset) = (.background, 4096, 0, 0)
        (totalBytes, copiedBytes, dirtyBytes, inFlightBytes) = (0, 0, 0, 0)
        (skippedZeroBytes, passes, speed, rate, dirtyRate) = (0, 0, 0, 0, 0)
        (eta, converging, ready, activelySynced) = (nil, true, false, false)
        (targetState, ioStatus, paused, error) = (.inconsistent, .ok, false, nil)
        (errorsSource, errorsTarget, lastPauseUs, expectedPauseUs) = (0, 0, nil, nil)
        (opens, resumed, cutTime, cutGeneration) = (0, .no, nil, nil)
    }

    /// What `serving` says where the image's own file serves it.
    public static let ownFile = "source"

    fileprivate enum CodingKeys: String, CodingKey {
        case verifying
        case verifiedBytes = "verified-bytes"
        case mismatchedBytes = "mismatched-bytes"
        case repairedBytes = "repaired-bytes"
        case unverifiedBytes = "unverified-bytes"
        case verifyError = "verify-error"
        case id, images, target, serving, phase, status, sync, granularity, len, offset, passes
        case speed, rate, eta, converging, ready, paused, error, opens, resumed
        case copyMode = "copy-mode"
        case totalBytes = "total-bytes"
        case copiedBytes = "copied-bytes"
        case dirtyBytes = "dirty-bytes"
        case inFlightBytes = "in-flight-bytes"
        case skippedZeroBytes = "skipped-zero-bytes"
        case dirtyRate = "dirty-rate"
        case activelySynced = "actively-synced"
        case targetState = "target-state"
        case inSyncTime = "in-sync-time"
        case ioStatus = "io-status"
        case errorsSource = "errors-source"
        case errorsTarget = "errors-target"
        case lastPauseUs = "last-pause-us"
        case expectedPauseUs = "expected-pause-us"
        case resumedBytes = "resumed-bytes"
        case cutTime = "cut-time"
        case cutGeneration = "cut-generation"
    }
}

// What is not known is written as `null`, not left out: these overloads are what the synthesized
// `encode(to:)` of the reports calls for their optional members.

extension KeyedEncodingContainer where Key == JobReport.CodingKeys {
    fileprivate mutating func encodeIfPresent(_ value: Int?, forKey key: Key) throws {
        try encode(value, forKey: key)
    }
    fileprivate mutating func encodeIfPresent(_ value: String?, forKey key: Key) throws {
        try encode(value, forKey: key)
    }
}

extension KeyedEncodingContainer where Key == StatusReport.CodingKeys {
    fileprivate mutating func encodeIfPresent(_ value: Int?, forKey key: Key) throws {
        try encode(value, forKey: key)
    }
}
