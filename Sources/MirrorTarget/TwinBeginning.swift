package import MirrorCore
import SystemPackage

/// What a job finds or makes under its target's name.
///
/// | | the file at the start | first pass | gets its name |
/// |---|---|---|---|
/// | fresh | `NAME.partial`, new; a `NAME` is refused | data | at the first `ready` |
/// | replacing | `NAME.partial`, new; the old `NAME` stays till then | data | over the old one |
/// | reusing | `NAME`, renamed to `NAME.partial` | compare | at the first `ready` |
/// | continuing | the same | nothing: the job knows what changed | at the first `ready` |
/// | asserted | `NAME`, in place | nothing | has it |
/// | cloned | `NAME.partial`, new, a reflink of the image | nothing | at the first `ready` |
/// | delta | `NAME.delta`, new | nothing | never |
package enum TwinBeginning: Sendable, Equatable {
    case fresh, replacing, reusing, continuing, asserted, delta
    case cloned(replaces: Bool)

    /// - Throws: parameters that contradict each other.
    package init(_ parameters: JobParameters) throws(CommandError) {
        let existing = parameters.existing
        switch (parameters.sync, parameters.seed) {
        case (.none, nil):
            self = .delta
            guard existing == .fail else {
                throw Self.contradiction(
                    "existing=\(existing.rawValue)", "a sync=none target without a seed",
                    "leave it out, or add seed=asserted")
            }
        case (.none, .asserted):
            self = .asserted
            guard existing != .replace else {
                throw Self.contradiction(
                    "existing=replace", "seed=asserted, which goes on with the file that is there",
                    "leave one of them out")
            }
        case (.none, .reflink):
            self = .cloned(replaces: existing == .replace)
            guard existing != .reuse else {
                throw Self.contradiction(
                    "existing=reuse", "seed=reflink, which makes a new file",
                    "write existing=replace, or leave it out")
            }
        case (_, .some):
            throw Self.contradiction("seed", "sync=\(parameters.sync.rawValue)", "write sync=none")
        case (.incremental, nil): self = .continuing
        case (.full, nil), (.top, nil):
            self =
                switch existing {
                case .fail: .fresh
                case .replace: .replacing
                case .reuse: .reusing
                }
        }
    }

    private static func contradiction(
        _ what: String, _ other: String, _ remedy: String
    ) -> CommandError {
        CommandError(.badValue, "\(what): has no meaning for \(other); \(remedy)")
    }

    package var isDelta: Bool { self == .delta }
    /// Whether the bytes of the file that has the name are taken over.
    var takesOver: Bool { self == .reusing || self == .continuing || self == .asserted }
    /// Whether there must be something under the name.
    var needsExisting: Bool { self == .continuing || self == .asserted }
    /// Whether a file that has the name gives way at the first publication.
    package var replaces: Bool { self == .replacing || self == .cloned(replaces: true) }

    /// - Parameters:
    ///   - holdsOldBytes: the target was there before, and was not found to be zero.
    package func firstPass(holdsOldBytes: Bool, unmap: Bool) -> FirstPass {
        switch self {
        case .continuing, .asserted, .cloned, .delta: .nothing
        case .reusing where holdsOldBytes: .compare
        case .fresh, .replacing, .reusing: holdsOldBytes || !unmap ? .everything : .data
        }
    }

    /// What needs a file, and is asked of a target that is none.
    func refuseWithoutFile(_ target: String) throws(CommandError) {
        switch self {
        case .delta:
            throw CommandError(
                .notSupported,
                "target \(target): a sync=none twin without a seed is a sparse file; name a file, or add"
                    + " seed=asserted")
        case .cloned:
            throw CommandError(
                .notSupported,
                "target \(target): seed=reflink needs a file on the image's own filesystem; name one, or"
                    + " use sync=full")
        case .continuing:
            throw CommandError(
                .notSupported,
                "target \(target): sync=incremental goes on with a twin that says which checkpoints it was cut"
                    + " after, and only files keep that; use sync=full existing=reuse")
        default: return
        }
    }
}
