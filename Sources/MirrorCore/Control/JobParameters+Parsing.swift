extension JobParameters {
    static let allowedBufferSizes = (64 << 10)...(1 << 30)
    static let allowedPauses = 1...60_000

    /// The parameters that `pairs` ask for, over `defaults` (those of the mount, say).
    ///
    /// - Throws: `unknownKey`; `badValue` also where a key comes twice; `notSupported` for what the
    ///   design has and this version has not.
    public init(
        parsing pairs: [ParameterPair], defaults: JobParameters = JobParameters()
    ) throws(CommandError) {
        self = defaults
        for (key, pair) in try Self.known(pairs) { try set(key, pair) }
        bufferSize = max(bufferSize, granularity.bytes)
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
        case .sync: sync = try value.word(notBuilt: [.incremental: "sync=full or sync=top"])
        case .target: target = try value.path()
        case .granularity: granularity = try value.granularity()
        case .bufferSize: bufferSize = try value.size(Self.allowedBufferSizes)
        case .speed: speed = try value.size()
        case .unmap: unmap = try value.flag()
        case .onSourceError: onSourceError = try value.errorPolicy()
        case .onTargetError: onTargetError = try value.errorPolicy()
        case .maxPause: maxPause = try value.number(Self.allowedPauses)
        default: try setLater(key, value)
        }
    }

    /// The parameters of which only the default is built.
    private mutating func setLater(
        _ key: ParameterKey, _ value: ParameterValue
    ) throws(CommandError) {
        switch key {
        case .pace: pace = try value.word(notBuilt: [.guest: "pace=full"])
        case .copyMode:
            let way = "copy-mode=background"
            copyMode = try value.word(notBuilt: [.writeBlocking: way, .auto: way])
        case .existing:
            let way = "existing=fail and a target name that is free"
            existing = try value.word(notBuilt: [.replace: way, .reuse: way])
        case .fsync: fsync = try value.word(notBuilt: [.both: "fsync=source"])
        case .minSpeed: minSpeed = try value.only(minSpeed, value.size())
        case .writeTimeout: writeTimeout = try value.only(writeTimeout, value.number(0...Int.max))
        case .maxRetries: maxRetries = try value.only(maxRetries, value.number(0...Int.max))
        default:
            let way = "sync=full"
            seed = try value.word(notBuilt: [Seed.asserted: way, .reflink: way])
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
