extension JobParameters {
    static let allowedBufferSizes = (64 << 10)...(1 << 30)
    static let allowedPauses = 1...60_000
    static let allowedWriteTimeouts = 0...600_000
    static let allowedRetries = 0...1000
    /// Of a guest's flush, and of the commands around a cut, milliseconds.
    static let allowedWaits = 1...600_000

    /// The parameters that `pairs` ask for, over `defaults` (those of the mount, say).
    ///
    /// A `sync` among the pairs lets what belongs to the `sync` of the defaults fall away, `seed` and
    /// `checkpoint`: there is no value to write that would mean none.
    ///
    /// - Throws: `unknownKey`; `badValue` also where a key comes twice and for values that do not go
    ///   together.
    public init(
        parsing pairs: [ParameterPair], defaults: JobParameters = JobParameters()
    ) throws(CommandError) {
        self = defaults
        let known = try Self.known(pairs)
        if known.contains(where: { $0.0 == .sync }) { (seed, checkpoint) = (nil, nil) }
        for (key, pair) in known { try set(key, pair) }
        bufferSize = max(bufferSize, granularity.bytes)
        try refuseContradictions()
    }

    /// Each pair with its key, or the error of the first that has none or has one that came before.
    static func known(_ pairs: [ParameterPair]) throws(CommandError)
        -> [(ParameterKey, ParameterPair)]
    {
        var (result, seen) = ([(ParameterKey, ParameterPair)](), Set<ParameterKey>())
        for pair in pairs {
            let key = try ParameterKey(pair)
            guard seen.insert(key).inserted else {
                throw CommandError(.badValue, "\(pair.shown): \(key.rawValue) is given twice")
            }
            result.append((key, pair))
        }
        return result
    }

    private mutating func set(_ key: ParameterKey, _ pair: ParameterPair) throws(CommandError) {
        let value = ParameterValue(key, pair)
        switch key {
        case .sync: sync = try value.word()
        case .target: target = try value.target()
        case .granularity: granularity = try value.granularity()
        case .bufferSize: bufferSize = try value.size(Self.allowedBufferSizes)
        case .unmap: unmap = try value.flag()
        case .existing: existing = try value.word()
        case .fsync: fsync = try value.word()
        case .seed: seed = try value.word() as Seed
        case .checkpoint: checkpoint = try value.checkpoint()
        case .targetIsZero: targetIsZero = try value.flag()
        case .intent: intent = try value.flag()
        case .cut, .cutWait, .preCut, .postCut, .cutTimeout: try setCut(key, value)
        case .speed, .pace, .minSpeed, .copyMode, .onSourceError, .onTargetError, .maxPause,
            .writeTimeout, .maxRetries:
            apply(try ParameterChange(key, pair))
        }
    }

    private mutating func setCut(
        _ key: ParameterKey, _ value: ParameterValue
    ) throws(CommandError) {
        switch key {
        case .cutWait: cutWait = try value.number(Self.allowedWaits)
        case .preCut: preCut = try value.program()
        case .postCut: postCut = try value.program()
        case .cutTimeout: cutTimeout = try value.number(Self.allowedWaits)
        default: cut = try value.word()
        }
    }

    /// What `set` did to a job, for the parameters it is shown with.
    public mutating func apply(_ change: ParameterChange) {
        switch change {
        case .speed(let value): speed = value
        case .pace(let value): pace = value
        case .minSpeed(let value): minSpeed = value
        case .copyMode(let value): copyMode = value
        case .onSourceError(let value): onSourceError = value
        case .onTargetError(let value): onTargetError = value
        case .maxPause(let value): maxPause = value
        case .writeTimeout(let value): writeTimeout = value
        case .maxRetries(let value): maxRetries = value
        }
    }
}

extension ParameterKey {
    init(_ pair: ParameterPair) throws(CommandError) {
        let name = String(decoding: pair.key, as: UTF8.self)
        guard let key = ParameterKey(rawValue: name) else {
            throw CommandError(
                .unknownKey, "\(pair.shown): there is no such parameter; known are \(Self.all)")
        }
        self = key
    }
}
