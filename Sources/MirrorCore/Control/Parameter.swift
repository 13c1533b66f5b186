/// One row of the table of parameters: what a parameter is called, takes and means, and how it is
/// read into `JobParameters` and written from them.
///
/// Names and words stand between backticks in `values` and `meaning`, as in the documentation.
public struct Parameter: Sendable {
    public let key: ParameterKey
    /// What may be written, as the end of a sentence that begins with "must be".
    public let values: String
    /// One or two sentences.
    public let meaning: String
    /// Whether `set` changes it in a running job.
    public let isLive: Bool
    /// Values that are valid, and the first is not the default: the documentation shows that one.
    public let examples: [String]
    /// Whether a value may be the path of a file.
    public let isFile: Bool
    /// What the documentation says in the place of the default.
    private let unwritten: String?
    private let isSize: Bool

    let read: @Sendable (ParameterValue, inout JobParameters) throws(CommandError) -> Void
    /// The value as `read` reads it; nil for none, which cannot be written.
    let text: @Sendable (JobParameters) -> [UInt8]?
    /// Takes the value of this parameter, and nothing else, from the first into the second.
    let copy: @Sendable (JobParameters, inout JobParameters) -> Void

    /// The row of a parameter that always has a value, which lies at `path`.
    init<Value>(
        _ key: ParameterKey, _ path: any WritableKeyPath<JobParameters, Value> & Sendable,
        _ form: ParameterForm<Value>, isLive: Bool = false, example: String, _ meaning: String
    ) {
        (self.key, self.isLive, self.meaning) = (key, isLive, meaning)
        (values, isFile, isSize) = (form.values, form.isFile, form.isSize)
        (examples, unwritten) = ([example], nil)
        read = { (value, parameters) throws(CommandError) in
            parameters[keyPath: path] = try form.read(value)
        }
        text = { form.text($0[keyPath: path]) }
        copy = { $1[keyPath: path] = $0[keyPath: path] }
    }

    /// The row of a parameter that has no value where none is written.
    init<Value>(
        _ key: ParameterKey, _ path: any WritableKeyPath<JobParameters, Value?> & Sendable,
        optional form: ParameterForm<Value>, unwritten: String = "none", examples: [String],
        _ meaning: String
    ) {
        (self.key, self.examples, self.meaning) = (key, examples, meaning)
        (values, isFile, isSize) = (form.values, form.isFile, form.isSize)
        (self.unwritten, isLive) = (unwritten, false)
        read = { (value, parameters) throws(CommandError) in
            parameters[keyPath: path] = try form.read(value)
        }
        text = { $0[keyPath: path].map(form.text) }
        copy = { $1[keyPath: path] = $0[keyPath: path] }
    }

    /// Every row, in the order of the documentation.
    public static var all: [Parameter] { ParameterKey.allCases.map(\.row) }

    /// The first example as it is written.
    public var example: String { written(examples[0]) }

    /// What a value must be, with an example.
    var rule: String {
        let examples = examples.map(written).joined(separator: " or ")
        return "must be \(Self.plain(values)), e.g. \(examples)"
    }

    private func written(_ value: String) -> String { "\(key.rawValue)=\(value)" }

    /// What the parameter is where nothing is written.
    public var standard: String {
        if let unwritten { return unwritten }
        let text = text(JobParameters()).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let shown = isSize ? Int(text).map(ByteSize.exactText) ?? text : text
        return "`\(shown)`"
    }

    static func plain(_ text: String) -> String { text.filter { $0 != "`" } }
}
