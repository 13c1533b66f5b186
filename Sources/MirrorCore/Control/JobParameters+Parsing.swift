extension JobParameters {
    /// The parameters that `pairs` ask for, over `defaults` (those of the mount, say).
    ///
    /// A `sync` among the pairs lets what belongs to the `sync` of the defaults fall away, `seed`
    /// and `checkpoint`: there is no value to write that would mean none.
    ///
    /// - Throws: `unknownKey`; `badValue` also where a key comes twice and for values that do not
    ///   go together.
    public init(
        parsing pairs: [ParameterPair], defaults: JobParameters = JobParameters()
    ) throws(CommandError) {
        self = defaults
        let known = try Self.known(pairs)
        if known.contains(where: { $0.0 == .sync }) { (seed, checkpoint) = (nil, nil) }
        for (key, pair) in known { try key.row.read(ParameterValue(key, pair), &self) }
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
