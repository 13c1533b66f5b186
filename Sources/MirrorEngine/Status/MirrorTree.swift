import MirrorCore

/// A name under `.mirror/`.
public enum MirrorFile: Hashable, Sendable {
    case root
    case status
    case statusJSON
    case events
    case control
    case metrics
    /// `jobs/…`: a directory that some job ids begin with, or that is one. Components of the id.
    case jobs([String])
    case jobStatus(id: String)
    case jobDirty(id: String)

    public var isDirectory: Bool {
        switch self {
        case .root, .jobs: true
        default: false
        }
    }
}

extension Engine {
    /// The entry `name` (bytes) of a directory of `.mirror/`; nil where there is none.
    public func lookUp(_ name: [UInt8], in directory: MirrorFile) -> MirrorFile? {
        entries(of: directory).first { $0.name == name }?.file
    }

    /// The entries of a directory of `.mirror/`, without `.` and `..`.
    public func entries(of directory: MirrorFile) -> [(name: [UInt8], file: MirrorFile)] { [] }

    /// The content of a file of `.mirror/` at this instant (R9: the caller keeps it for as long as its
    /// handle). Empty for `control`; for `events` use the log itself, which only grows.
    public func content(of file: MirrorFile) -> [UInt8] { [] }
}
