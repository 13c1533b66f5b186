/// One thing that `set` changes in a running job.
public enum ParameterChange: Hashable, Sendable {
    /// Bytes a second; 0 is no limit.
    case speed(Int)
    case pace(JobParameters.Pace)
    /// Bytes a second.
    case minSpeed(Int)
    case copyMode(JobParameters.CopyMode)
    case onSourceError(JobParameters.ErrorPolicy)
    case onTargetError(JobParameters.ErrorPolicy)
    /// Milliseconds.
    case maxPause(Int)
    /// Milliseconds; 0 is off.
    case writeTimeout(Int)
    case maxRetries(Int)

    /// Every key that `set` takes.
    public static let keys: [ParameterKey] = [
        .speed, .pace, .minSpeed, .copyMode, .onSourceError, .onTargetError, .maxPause,
        .writeTimeout, .maxRetries,
    ]

    /// The changes that `pairs` ask for, in their order.
    ///
    /// - Throws: as `JobParameters.init(parsing:defaults:)`; `badValue` also for what is fixed once a job runs.
    static func parse(_ pairs: [ParameterPair]) throws(CommandError) -> [ParameterChange] {
        var changes: [ParameterChange] = []
        for (key, pair) in try JobParameters.known(pairs) {
            changes.append(try ParameterChange(key, pair))
        }
        return changes
    }

    /// - Throws: `badValue` where `set` may not change the key.
    init(_ key: ParameterKey, _ pair: ParameterPair) throws(CommandError) {
        let value = ParameterValue(key, pair)
        switch key {
        case .speed: self = .speed(try value.size())
        case .pace: self = .pace(try value.word())
        case .minSpeed: self = .minSpeed(try value.size())
        case .copyMode: self = .copyMode(try value.word())
        case .onSourceError: self = .onSourceError(try value.word())
        case .onTargetError: self = .onTargetError(try value.word())
        case .maxPause: self = .maxPause(try value.number(JobParameters.allowedPauses))
        case .writeTimeout:
            self = .writeTimeout(try value.number(JobParameters.allowedWriteTimeouts))
        case .maxRetries: self = .maxRetries(try value.number(JobParameters.allowedRetries))
        default:
            throw CommandError(
                .badValue,
                "\(pair.shown): \(key.rawValue) is fixed once the job runs; set knows"
                    + " \(Self.keys.map(\.rawValue).joined(separator: ", "))")
        }
    }
}
