/// One thing that `set` changes in a running job.
public enum ParameterChange: Hashable, Sendable {
    /// Bytes a second; 0 is no limit.
    case speed(Int)
    /// Milliseconds.
    case maxPause(Int)
    case onSourceError(JobParameters.ErrorPolicy)
    case onTargetError(JobParameters.ErrorPolicy)

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

    private init(_ key: ParameterKey, _ pair: ParameterPair) throws(CommandError) {
        let value = ParameterValue(key, pair)
        switch key {
        case .speed: self = .speed(try value.size())
        case .maxPause: self = .maxPause(try value.number(JobParameters.allowedPauses))
        case .onSourceError: self = .onSourceError(try value.errorPolicy())
        case .onTargetError: self = .onTargetError(try value.errorPolicy())
        case .pace, .minSpeed, .copyMode, .writeTimeout:
            throw CommandError(
                .notSupported,
                "\(pair.shown): changing \(key.rawValue) is not built yet: use set speed=…, or cancel"
                    + " the job and start it anew")
        default:
            throw CommandError(
                .badValue,
                "\(pair.shown): \(key.rawValue) is fixed once the job runs; set knows speed, max-pause,"
                    + " on-source-error and on-target-error")
        }
    }
}
