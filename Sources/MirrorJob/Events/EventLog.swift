import FoundationEssentials
package import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import Synchronization

/// The last events of a mount, each a line of JSON with a sequence number that never goes back.
package final class EventLog: Sendable {
    /// Lines that are kept.
    package static let capacity = 1000

    /// Protects the lines and the handlers. Nothing is called under it.
    private let state: Mutex<State>

    private struct State {
        var newest: UInt64
        var lines: [[UInt8]] = []
        var handlers: [@Sendable () -> Void] = []
    }

    /// - Parameter generation: how many workers served the mount before. Numbers begin at that
    ///   times 2³², so that they do not go back when a worker takes over.
    package init(generation: Int = 0) {
        state = Mutex(State(newest: UInt64(generation) << 32))
    }

    /// Sequence number of the newest event; 0 before the first.
    package var newest: UInt64 { state.withLock { $0.newest } }

    /// The lines after `sequence`, oldest first, each with its newline, and the newest sequence
    /// number among them (or `sequence`). Events that were dropped to stay bounded are missing.
    package func lines(after sequence: UInt64) -> (text: [UInt8], newest: UInt64) {
        state.withLock { state in
            guard sequence < state.newest else { return ([], sequence) }
            let wanted = Int(min(state.newest - sequence, UInt64(state.lines.count)))
            return (Array(state.lines.suffix(wanted).joined()), state.newest)
        }
    }

    /// `handler` is called, on any thread and without a lock held, after each event. It must not
    /// block.
    package func subscribe(_ handler: @escaping @Sendable () -> Void) {
        state.withLock { $0.handlers.append(handler) }
    }

    /// What can happen. The words are QEMU's, or begin with TWINFS.
    package enum Name: Sendable {
        case statusChange
        case ready
        case completed
        case cancelled
        /// `side` is `read` or `write`, `action` is `report` or `stop`, as in QEMU.
        case error(side: String, action: String)
        /// A forwarded write took longer than `write-timeout`; the job copies in the background
        /// now.
        case fellBack
        /// `post-cut` failed.
        case hookFailed
        /// A verification is over.
        case verified
        /// The job came back after a restart; `action` says how, as `resumed` in the status.
        case resumed

        package var word: String {
            switch self {
            case .statusChange: "JOB_STATUS_CHANGE"
            case .ready: "BLOCK_JOB_READY"
            case .completed: "BLOCK_JOB_COMPLETED"
            case .cancelled: "BLOCK_JOB_CANCELLED"
            case .error: "BLOCK_JOB_ERROR"
            case .fellBack: "TWINFS_FELL_BACK"
            case .hookFailed: "TWINFS_HOOK_FAILED"
            case .verified: "TWINFS_VERIFY_COMPLETED"
            case .resumed: "TWINFS_JOB_RESUMED"
            }
        }
    }

    package func append(_ name: Name, _ job: JobReport) {
        append { Event($0, $1, name, job).line }
    }

    package func append(
        _ line: (_ number: UInt64, _ time: (seconds: Int, microseconds: Int)) -> [UInt8]
    ) {
        let time = WallClock.now
        let handlers = state.withLock { state in
            state.newest += 1
            state.lines.append(line(state.newest, time))
            if state.lines.count > Self.capacity { state.lines.removeFirst(Self.capacity / 4) }
            return state.handlers
        }
        for handler in handlers { handler() }
    }
}

/// One line of the log, in QMP's shape.
private struct Event: Encodable {
    typealias Timestamp = EventTime

    struct Data: Encodable {
        /// The job, by the key that QEMU has in this event; one of the two.
        var id, device, type: String?
        let len, offset, speed: Int?
        let status, operation, action, error: String?
        var verifiedBytes: Int?
        var mismatchedBytes: Int?
        var repairedBytes: Int?
        var unverifiedBytes: Int?

        enum CodingKeys: String, CodingKey {
            case id, device, type, len, offset, speed, status, operation, action, error
            case verifiedBytes = "verified-bytes"
            case mismatchedBytes = "mismatched-bytes"
            case repairedBytes = "repaired-bytes"
            case unverifiedBytes = "unverified-bytes"
        }
    }

    let seq: UInt64
    let timestamp: Timestamp
    let event: String
    let data: Data

    init(
        _ number: UInt64, _ time: (seconds: Int, microseconds: Int), _ name: EventLog.Name,
        _ job: JobReport
    ) {
        seq = number
        timestamp = Timestamp(seconds: time.seconds, microseconds: time.microseconds)
        event = name.word
        switch name {
        case .statusChange:
            data = Data(
                id: job.id, len: nil, offset: nil, speed: nil, status: job.status.rawValue,
                operation: nil, action: nil, error: nil)
        case .error(let side, let action):
            data = Data(
                device: job.id, type: "mirror", len: nil, offset: nil, speed: nil, status: nil,
                operation: side, action: action, error: job.error)
        case .verified:
            data = Data(
                device: job.id, type: "mirror", len: nil, offset: nil, speed: nil, status: nil,
                operation: nil, action: nil, error: job.verifyError,
                verifiedBytes: job.verifiedBytes, mismatchedBytes: job.mismatchedBytes,
                repairedBytes: job.repairedBytes, unverifiedBytes: job.unverifiedBytes)
        case .resumed:
            data = Data(
                device: job.id, type: "mirror", len: job.len, offset: job.offset, speed: job.speed,
                status: job.status.rawValue, operation: nil, action: job.resumed.rawValue,
                error: job.error)
        case .ready, .completed, .cancelled, .fellBack, .hookFailed:
            data = Data(
                device: job.id, type: "mirror", len: job.len, offset: job.offset, speed: job.speed,
                status: nil, operation: nil, action: nil, error: job.error)
        }
    }

    var line: [UInt8] { JSON.bytes(self) + [UInt8(ascii: "\n")] }
}
