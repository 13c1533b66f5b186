import MirrorCore
import MirrorJob
import MirrorState
import MirrorSystem
import MirrorTarget

/// A name under `.mirror/`.
package enum ControlFile: Hashable, Sendable {
    case root
    case status
    case statusJSON
    case events
    case control
    case metrics
    /// `jobs/…`: a directory that some job ids begin with, or that is one. Components of the id.
    case jobs([[UInt8]])
    case jobStatus(id: [UInt8])
    case jobDirty(id: [UInt8])
    /// `checkpoints/…`: a directory that some images' paths begin with, or that is one. Its
    /// components.
    case checkpoints([[UInt8]])
    case checkpoint(image: [UInt8], name: String)

    package var isDirectory: Bool {
        switch self {
        case .root, .jobs, .checkpoints: true
        default: false
        }
    }
}

extension Engine {
    package typealias ControlEntry = (name: [UInt8], file: ControlFile)

    /// The entry `name` (bytes) of a directory of `.mirror/`; nil where there is none.
    package func lookUp(_ name: [UInt8], in directory: ControlFile) -> ControlFile? {
        entries(of: directory).first { $0.name == name }?.file
    }

    /// The entries of a directory of `.mirror/`, without `.` and `..`.
    package func entries(of directory: ControlFile) -> [ControlEntry] {
        switch directory {
        case .root:
            [
                (Array("status".utf8), .status), (Array("status.json".utf8), .statusJSON),
                (Array("events".utf8), .events), (Array("control".utf8), .control),
                (Array("metrics".utf8), .metrics), (Array("jobs".utf8), .jobs([])),
                (Array("checkpoints".utf8), .checkpoints([])),
            ]
        case .jobs(let prefix): jobEntries(prefix)
        case .checkpoints(let prefix): checkpointEntries(prefix)
        default: []
        }
    }

    /// Below `jobs/` stands a directory for each component of a job's id, and in the last one its
    /// files.
    private func jobEntries(_ prefix: [[UInt8]]) -> [ControlEntry] {
        var entries: [ControlEntry] = []
        var directories: Set<[UInt8]> = []
        for (id, isLive) in jobs.all.map({ ($0.id, true) }) + jobs.ended.map({ ($0.id, false) }) {
            let components = id.split(separator: UInt8(ascii: "/")).map(Array.init)
            guard components.starts(with: prefix) else { continue }
            if components.count > prefix.count {
                let name = components[prefix.count]
                if directories.insert(name).inserted {
                    entries.append((name, .jobs(prefix + [name])))
                }
            } else {
                entries.append((Array("status.json".utf8), .jobStatus(id: id)))
                if isLive { entries.append((Array("dirty".utf8), .jobDirty(id: id))) }
            }
        }
        return entries
    }

    /// The content of a file of `.mirror/` at this instant (R9: the caller keeps it for as long as
    /// its handle). Empty for `control`; for `events` use the log itself, which only grows.
    package func content(of file: ControlFile) -> [UInt8] {
        switch file {
        case .status: Array(StatusText.render(report(), now: WallClock.now.seconds).utf8)
        case .statusJSON: JSON.bytes(report(), isPretty: true) + [UInt8(ascii: "\n")]
        case .metrics: Array(Metrics.render(report()).utf8)
        case .jobStatus(let id):
            (jobs.exactly(id)?.report() ?? jobs.ended(id)?.report).map {
                JSON.bytes($0, isPretty: true) + [UInt8(ascii: "\n")]
            } ?? []
        case .jobDirty(let id): jobContent(id) { JSON.bytes(ExtentList($0)) }
        case .checkpoint(let image, let name): checkpointContent(image, name)
        case .events, .control, .root, .jobs, .checkpoints: []
        }
    }

    private func jobContent(_ id: [UInt8], _ render: (Job) -> [UInt8]) -> [UInt8] {
        guard let job = jobs.exactly(id) else { return [] }
        return render(job) + [UInt8(ascii: "\n")]
    }
}
