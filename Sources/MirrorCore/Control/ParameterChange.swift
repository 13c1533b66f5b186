/// One thing that `set` changes in a running job.
public struct ParameterChange: Hashable, Sendable {
    public let key: ParameterKey
    /// Defaults, and the new value at the key.
    private let value: JobParameters

    /// Every key that `set` takes.
    public static let keys = ParameterKey.allCases.filter { $0.row.isLive }

    /// The changes that `pairs` ask for, in their order.
    ///
    /// - Throws: as `JobParameters.init(parsing:defaults:)`; `badValue` also for what is fixed once
    ///   a job runs.
    static func parse(_ pairs: [ParameterPair]) throws(CommandError) -> [ParameterChange] {
        var changes: [ParameterChange] = []
        for (key, pair) in try JobParameters.known(pairs) {
            changes.append(try ParameterChange(key, pair))
        }
        return changes
    }

    /// - Throws: `badValue` where `set` may not change the key.
    init(_ key: ParameterKey, _ pair: ParameterPair) throws(CommandError) {
        guard key.row.isLive else {
            throw CommandError(
                .badValue,
                "\(pair.shown): \(key.rawValue) is fixed once the job runs; set knows"
                    + " \(Self.keys.map(\.rawValue).joined(separator: ", "))")
        }
        var value = JobParameters()
        try key.row.read(ParameterValue(key, pair), &value)
        (self.key, self.value) = (key, value)
    }

    /// Writes the new value into `parameters`, and changes nothing else.
    public func apply(to parameters: inout JobParameters) { key.row.copy(value, &parameters) }
}

extension JobParameters {
    /// What `set` did to a job, for the parameters it is shown with.
    public mutating func apply(_ change: ParameterChange) { change.apply(to: &self) }
}
