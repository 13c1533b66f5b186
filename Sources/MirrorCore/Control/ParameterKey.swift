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

    /// What a value must be, as the end of a sentence that begins with the key and ends with an example.
    public var rule: String {
        switch self {
        case .sync: "must be full, top or none, e.g. sync=top"
        case .target: "must be an absolute path, e.g. target=/backup/"
        case .granularity:
            "must be a power of two between 512 and 64M, e.g. granularity=4K"
        case .bufferSize: "must be a size between 64K and 1G, e.g. buf-size=16M"
        case .speed: "must be bytes a second, 0 for no limit, e.g. speed=100M"
        case .pace: "must be full, e.g. pace=full"
        case .minSpeed: "must be bytes a second, e.g. min-speed=0"
        case .copyMode: "must be background, e.g. copy-mode=background"
        case .unmap: "must be on or off, e.g. unmap=on"
        case .onSourceError: "must be report, stop or enospc, e.g. on-source-error=report"
        case .onTargetError: "must be report, stop or enospc, e.g. on-target-error=enospc"
        case .existing: "must be fail, e.g. existing=fail"
        case .writeTimeout: "must be milliseconds, 0 for off, e.g. write-timeout=0"
        case .fsync: "must be source, e.g. fsync=source"
        case .maxPause: "must be 1 to 60000 milliseconds, e.g. max-pause=300"
        case .maxRetries: "must be a number of retries, e.g. max-retries=10"
        case .seed: "must be asserted or reflink, e.g. seed=asserted"
        }
    }

    /// Every name, for the message about an unknown one.
    static var all: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
