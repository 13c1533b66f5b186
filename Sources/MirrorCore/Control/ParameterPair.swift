/// `key=value` as it was written, unquoted and not yet understood.
public struct ParameterPair: Hashable, Sendable {
    public var key: [UInt8]
    public var value: [UInt8]

    public init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }

    public init(_ key: ParameterKey, _ value: String) {
        self.init(key: Array(key.rawValue.utf8), value: Array(value.utf8))
    }

    /// From a mount option: what stands before and after the first `=`. Without one the value is
    /// empty.
    public init(option: String) {
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        self.init(
            key: Array(parts[0].utf8), value: parts.count > 1 ? Array(parts[1].utf8) : [])
    }

    /// For messages.
    var shown: String { NameText.shown(key) + "=" + NameText.shown(value) }
}
