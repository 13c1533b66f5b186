/// What the values of some parameters have in common: how they are described, read and written.
struct ParameterForm<Value>: Sendable {
    let values: String
    var isFile = false
    var isSize = false
    let read: @Sendable (ParameterValue) throws(CommandError) -> Value
    let text: @Sendable (Value) -> [UInt8]
}

extension ParameterForm where Value == Bool {
    static var flag: ParameterForm {
        ParameterForm(
            values: "`on` or `off`", read: { (value) throws(CommandError) in try value.flag() },
            text: { Array(($0 ? "on" : "off").utf8) })
    }
}

extension ParameterForm
where Value: RawRepresentable<String> & CaseIterable & SendableMetatype {
    /// One of an enumeration's words.
    static var word: ParameterForm {
        let words = Value.allCases.map { "`\($0.rawValue)`" }
        let values = words.dropLast().joined(separator: ", ") + " or " + words.last!
        return ParameterForm(
            values: values, read: { (value) throws(CommandError) in try value.word() },
            text: { Array($0.rawValue.utf8) })
    }
}

extension ParameterForm where Value == Int {
    /// A number of bytes, which may be written with a unit.
    static func size(_ values: String, _ allowed: ClosedRange<Int> = 0...Int.max) -> ParameterForm {
        ParameterForm(
            values: values, isSize: true,
            read: { (value) throws(CommandError) in try value.size(allowed) },
            text: { Array("\($0)".utf8) })
    }

    /// Digits; `what` follows the bounds.
    static func number(_ allowed: ClosedRange<Int>, _ what: String) -> ParameterForm {
        ParameterForm(
            values: "\(allowed.lowerBound) to \(allowed.upperBound) \(what)",
            read: { (value) throws(CommandError) in try value.number(allowed) },
            text: { Array("\($0)".utf8) })
    }
}

extension ParameterForm where Value == Granularity {
    static var granularity: ParameterForm {
        ParameterForm(
            values: "a power of two between 512 and 64M", isSize: true,
            read: { (value) throws(CommandError) in try value.granularity() },
            text: { Array("\($0.bytes)".utf8) })
    }
}

extension ParameterForm where Value == String {
    static var checkpoint: ParameterForm {
        ParameterForm(
            values: "a checkpoint's name, \(CheckpointName.rule)",
            read: { (value) throws(CommandError) in try value.checkpoint() },
            text: { Array($0.utf8) })
    }
}

extension ParameterForm where Value == [UInt8] {
    static var target: ParameterForm {
        ParameterForm(
            values: "an absolute path or the URI of an NBD export", isFile: true,
            read: { (value) throws(CommandError) in try value.target() }, text: { $0 })
    }

    static var program: ParameterForm {
        ParameterForm(
            values: "the absolute path of an executable, without arguments", isFile: true,
            read: { (value) throws(CommandError) in try value.program() }, text: { $0 })
    }
}
