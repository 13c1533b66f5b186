/// How one job mirrors. Defaults are QEMU's where it has the parameter.
///
/// The types know every value of the design; those that this version cannot honour are refused when
/// parsed (`JobParameters+Parsing.swift`), so that a job never runs otherwise than asked.
public struct JobParameters: Hashable, Sendable {
    /// What the first pass copies.
    public enum Sync: String, CaseIterable, Sendable { case full, top, none, incremental }
    /// How far the copier yields to the guest.
    public enum Pace: String, CaseIterable, Sendable { case full, guest }
    /// Whether guest writes go to the target by themselves.
    public enum CopyMode: String, CaseIterable, Sendable {
        case background
        case writeBlocking = "write-blocking"
        case auto
    }
    /// What an I/O error does: `report` fails the job, `stop` pauses it with the error shown, `enospc`
    /// stops on ENOSPC and reports anything else, `ignore` tries again.
    public enum ErrorPolicy: String, CaseIterable, Sendable { case report, stop, enospc, ignore }
    /// What becomes of a file that has the target's name already.
    public enum Existing: String, CaseIterable, Sendable { case fail, replace, reuse }
    /// What a guest's flush makes durable.
    public enum Flush: String, CaseIterable, Sendable { case source, both }
    /// Why a `sync=none` twin may count as equal at the start.
    public enum Seed: String, CaseIterable, Sendable { case asserted, reflink }

    public var sync = Sync.full
    /// An absolute path of bytes; a trailing `/` means a directory. Nil where the mount's `target=` decides.
    public var target: [UInt8]?
    public var granularity = Granularity.standard
    /// Most bytes in flight; never less than one granule.
    public var bufferSize = 16 << 20
    /// Ceiling of the copier in bytes a second; 0 is none.
    public var speed = 0
    public var pace = Pace.full
    /// Floor of the copier in bytes a second, whatever `pace` says.
    public var minSpeed = 0
    public var copyMode = CopyMode.background
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

    public init() {}
}
