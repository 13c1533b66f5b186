/// How one job mirrors. Defaults are QEMU's where it has the parameter and files give no reason for
/// another one.
///
/// What does not go together is refused when parsed (`JobParameters+Rules.swift`), so that a job
/// never runs otherwise than asked.
public struct JobParameters: Hashable, Sendable {
    /// What the first pass copies.
    public enum Sync: String, CaseIterable, Sendable { case full, top, none, incremental }
    /// How far the copier yields to the guest: `guest` backs off when it hurts the guest's latency,
    /// but never below `minSpeed`; `full` does not look.
    public enum Pace: String, CaseIterable, Sendable { case full, guest }
    /// Whether guest writes go to the target at once. `auto` is background while the remainder
    /// shrinks, and write-blocking when it no longer does.
    public enum CopyMode: String, CaseIterable, Sendable {
        case background
        case writeBlocking = "write-blocking"
        case auto
    }
    /// What an I/O error does: `report` fails the job, `stop` pauses it with the error shown,
    /// `enospc` stops on ENOSPC and reports anything else, `ignore` tries again with growing pauses
    /// and stops after `maxRetries`.
    public enum ErrorPolicy: String, CaseIterable, Sendable { case report, stop, enospc, ignore }
    /// What becomes of a file that has the target's name already: it is the reason for a refusal;
    /// it is kept until the new twin is ready and then replaced at one instant; or it is compared
    /// with the source and only differences are copied.
    public enum Existing: String, CaseIterable, Sendable { case fail, replace, reuse }
    /// What a guest's flush makes durable.
    public enum Flush: String, CaseIterable, Sendable { case source, both }
    /// Why a `sync=none` twin may count as equal at the start: the user vouches for it, or it is
    /// cloned at the instant tracking starts.
    public enum Seed: String, CaseIterable, Sendable { case asserted, reflink }
    /// When a job that is to end does so: at the first agreement, or right after a guest's flush
    /// with nothing in flight, where one comes within `cutWait`.
    public enum Cut: String, CaseIterable, Sendable { case now, flush }

    public var sync = Sync.full
    /// The name of the checkpoint that `sync=incremental` starts from; nil with every other `sync`.
    public var checkpoint: String?
    /// An absolute path of bytes, where a trailing `/` means a directory, or the URI of an NBD
    /// export (`targetIsURI`). Nil where the mount's `target=` decides.
    public var target: [UInt8]?
    public var granularity = Granularity.standard
    /// Most bytes in flight; never less than one granule.
    public var bufferSize = 16 << 20
    /// Ceiling of the copier in bytes a second; 0 is none.
    public var speed = 0
    public var pace = Pace.guest
    /// Floor of the copier in bytes a second, whatever `pace=guest` would like; `speed` wins over
    /// it.
    public var minSpeed = 0
    public var copyMode = CopyMode.auto
    /// Whether zero and discarded ranges become holes in the twin.
    public var unmap = true
    public var onSourceError = ErrorPolicy.report
    public var onTargetError = ErrorPolicy.enospc
    public var existing = Existing.fail
    /// Milliseconds after which a forwarded write is abandoned; 0 is never.
    public var writeTimeout = 0
    public var fsync = Flush.source
    /// Longest that a cut may hold guest writes, milliseconds.
    public var maxPause = 300
    /// Retries that `ignore` makes before it stops.
    public var maxRetries = 10
    public var seed: Seed?
    /// Whether the target reads as zero everywhere already: holes need not be written.
    public var targetIsZero = false
    public var cut = Cut.now
    /// Longest that `cut=flush` waits for a guest's flush, milliseconds.
    public var cutWait = 5000
    /// Absolute path of the executable to run before guest writes are held for a cut; it gets no
    /// arguments.
    public var preCut: [UInt8]?
    /// A program that is run when guest writes continue after a cut.
    public var postCut: [UInt8]?
    /// Longest that `preCut` and `postCut` may take each, milliseconds.
    public var cutTimeout = 10_000
    /// Whether it is kept on disk where source and twin may differ after a power cut; else
    /// everything is compared then.
    public var intent = true

    public init() {}
}
