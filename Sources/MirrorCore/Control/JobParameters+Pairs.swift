extension JobParameters {
    /// Every parameter that has a value: `init(parsing:)` makes the same parameters of them.
    public var pairs: [ParameterPair] {
        ParameterKey.allCases.compactMap { key in
            value(of: key).map { ParameterPair(key: Array(key.rawValue.utf8), value: $0) }
        }
    }

    /// The value as `init(parsing:)` reads it; nil for none.
    private func value(of key: ParameterKey) -> [UInt8]? {
        switch key {
        case .target: target
        case .preCut: preCut
        case .postCut: postCut
        case .checkpoint: checkpoint.map { Array($0.utf8) }
        case .seed: seed.map { Array($0.rawValue.utf8) }
        default: Array(text(of: key).utf8)
        }
    }

    private func text(of key: ParameterKey) -> String {
        switch key {
        case .target, .preCut, .postCut, .checkpoint, .seed: ""
        case .sync: sync.rawValue
        case .granularity: "\(granularity.bytes)"
        case .bufferSize: "\(bufferSize)"
        case .speed: "\(speed)"
        case .pace: pace.rawValue
        case .minSpeed: "\(minSpeed)"
        case .copyMode: copyMode.rawValue
        case .unmap: Self.flag(unmap)
        case .onSourceError: onSourceError.rawValue
        case .onTargetError: onTargetError.rawValue
        case .existing: existing.rawValue
        case .writeTimeout: "\(writeTimeout)"
        case .fsync: fsync.rawValue
        case .maxPause: "\(maxPause)"
        case .maxRetries: "\(maxRetries)"
        case .targetIsZero: Self.flag(targetIsZero)
        case .intent: Self.flag(intent)
        case .cut: cut.rawValue
        case .cutWait: "\(cutWait)"
        case .cutTimeout: "\(cutTimeout)"
        }
    }

    private static func flag(_ isOn: Bool) -> String { isOn ? "on" : "off" }
}
