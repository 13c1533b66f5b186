/// The parameters of a job by name; QEMU's names wherever it has one.
public enum ParameterKey: String, CaseIterable, Sendable {
    case sync
    case target
    case granularity
    case bufferSize = "buf-size"
    case speed
    case pace
    case minSpeed = "min-speed"
    case copyMode = "copy-mode"
    case unmap
    case onSourceError = "on-source-error"
    case onTargetError = "on-target-error"
    case existing
    case writeTimeout = "write-timeout"
    case fsync
    case maxPause = "max-pause"
    case maxRetries = "max-retries"
    case seed
    case checkpoint
    case targetIsZero = "target-is-zero"
    case cut
    case cutWait = "cut-wait"
    case preCut = "pre-cut"
    case postCut = "post-cut"
    case cutTimeout = "cut-timeout"
    case intent

    /// What a value must be, as the end of a sentence that begins with the key and ends with an example.
    public var rule: String {
        switch self {
        case .sync: "must be full, top, none or incremental, e.g. sync=top"
        case .target:
            "must be an absolute path or the URI of an NBD export, e.g. target=/backup/ or"
                + " target=nbd://host/export"
        case .granularity:
            "must be a power of two between 512 and 64M, e.g. granularity=4K"
        case .bufferSize: "must be a size between 64K and 1G, e.g. buf-size=16M"
        case .speed: "must be bytes a second, 0 for no limit, e.g. speed=100M"
        case .pace: "must be guest or full, e.g. pace=guest"
        case .minSpeed: "must be bytes a second, e.g. min-speed=1M"
        case .copyMode:
            "must be background, write-blocking or auto, e.g. copy-mode=auto"
        case .unmap: "must be on or off, e.g. unmap=on"
        case .onSourceError: "must be \(Self.policies), e.g. on-source-error=report"
        case .onTargetError: "must be \(Self.policies), e.g. on-target-error=enospc"
        case .existing: "must be fail, replace or reuse, e.g. existing=replace"
        case .writeTimeout: "must be 0 to 600000 milliseconds, 0 for off, e.g. write-timeout=500"
        case .fsync: "must be source or both, e.g. fsync=source"
        case .maxPause: "must be 1 to 60000 milliseconds, e.g. max-pause=300"
        case .maxRetries: "must be 0 to 1000 retries, e.g. max-retries=10"
        default: laterRule
        }
    }

    private var laterRule: String {
        switch self {
        case .seed: "must be asserted or reflink, e.g. seed=asserted"
        case .checkpoint:
            "must be a checkpoint's name, \(CheckpointName.rule), e.g. checkpoint=monday"
        case .targetIsZero: "must be on or off, e.g. target-is-zero=on"
        case .intent: "must be on or off, e.g. intent=on"
        case .cut: "must be now or flush, e.g. cut=flush"
        case .cutWait: "must be 1 to 600000 milliseconds, e.g. cut-wait=5000"
        case .preCut: "\(Self.program), e.g. pre-cut=/usr/local/bin/freeze"
        case .postCut: "\(Self.program), e.g. post-cut=/usr/local/bin/thaw"
        default: "must be 1 to 600000 milliseconds, e.g. cut-timeout=10000"
        }
    }

    private static let policies = "report, stop, enospc or ignore"
    private static let program = "must be the absolute path of an executable, without arguments"

    /// Every name, for the message about an unknown one.
    static var all: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
