// The words of a job's report and record that are not the state machine's: each spelled here once.

extension JobMachine.Phase {
    /// Whether a job in this phase has ended.
    public var isOver: Bool {
        switch self {
        case .created, .bulk, .ready, .completing: false
        case .completed, .cancelled, .failed: true
        }
    }
}

/// QEMU's JobStatus: `status` in the report.
public enum JobStatus: String, CaseIterable, Codable, Sendable {
    case created, running, paused, ready, standby, waiting, aborting, concluded
}

/// How a job came back after a restart: `resumed` in the report, each worse than the one before.
public enum ReturnProof: String, CaseIterable, Codable, Comparable, Sendable {
    /// It did not.
    case no
    /// The worker alone was replaced, and its memory was there.
    case worker
    /// The last mount had ended in order.
    case clean
    /// It had not; the write-intent log says what may differ.
    case intent
    /// Nothing says what differs: all is compared.
    case compare

    private var rank: Int {
        switch self {
        case .no: 0
        case .worker: 1
        case .clean: 2
        case .intent: 3
        case .compare: 4
        }
    }

    public static func < (left: ReturnProof, right: ReturnProof) -> Bool { left.rank < right.rank }
}

/// What a job's record says of a verification; nothing where none is of interest any more.
public enum VerifyState: String, CaseIterable, Codable, Sendable {
    /// One is under way.
    case running
    /// One has found what nobody had copied again.
    case found
}

/// What a twin is, as a job's record says it.
public enum TargetKind: String, CaseIterable, Codable, Sendable {
    /// A file that the job has made or taken over.
    case file
    /// An image's own file, which a switch-over left behind.
    case home
    /// A block device.
    case device
    /// An NBD export.
    case export
}

extension JobParameters.Sync: Codable {}
extension JobParameters.CopyMode: Codable {}
