/// The parameters of a job by name; QEMU's names wherever it has one. What there is to know about
/// each stands in its row (`Parameters.swift`).
public enum ParameterKey: String, CaseIterable, Sendable {
    case target
    case sync
    case seed
    case checkpoint
    case existing
    case targetIsZero = "target-is-zero"
    case granularity
    case bufferSize = "buf-size"
    case unmap
    case speed
    case pace
    case minSpeed = "min-speed"
    case copyMode = "copy-mode"
    case writeTimeout = "write-timeout"
    case fsync
    case intent
    case onSourceError = "on-source-error"
    case onTargetError = "on-target-error"
    case maxRetries = "max-retries"
    case maxPause = "max-pause"
    case cut
    case cutWait = "cut-wait"
    case preCut = "pre-cut"
    case postCut = "post-cut"
    case cutTimeout = "cut-timeout"

    /// What is known about the parameter. A key without a row does not compile.
    public var row: Parameter {
        switch self {
        case .target: .target
        case .sync: .sync
        case .seed: .seed
        case .checkpoint: .checkpoint
        case .existing: .existing
        case .targetIsZero: .targetIsZero
        case .granularity: .granularity
        case .bufferSize: .bufferSize
        case .unmap: .unmap
        case .speed: .speed
        case .pace: .pace
        case .minSpeed: .minSpeed
        case .copyMode: .copyMode
        case .writeTimeout: .writeTimeout
        case .fsync: .fsync
        case .intent: .intent
        case .onSourceError: .onSourceError
        case .onTargetError: .onTargetError
        case .maxRetries: .maxRetries
        case .maxPause: .maxPause
        case .cut: .cut
        case .cutWait: .cutWait
        case .preCut: .preCut
        case .postCut: .postCut
        case .cutTimeout: .cutTimeout
        }
    }

    /// What a value must be, as the end of a sentence that begins with the key and ends with an
    /// example.
    public var rule: String { row.rule }

    /// Every name, for the message about an unknown one.
    public static var all: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
