extension JobParameters {
    /// Every parameter that has a value: `init(parsing:)` makes the same parameters of them.
    public var pairs: [ParameterPair] {
        Parameter.all.compactMap { row in
            row.text(self).map { ParameterPair(key: Array(row.key.rawValue.utf8), value: $0) }
        }
    }
}
