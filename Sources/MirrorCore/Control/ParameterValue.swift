/// The value of one parameter on its way from text to type. Every error it throws begins with
/// `key=value:` as it was written.
struct ParameterValue {
    let key: ParameterKey
    let pair: ParameterPair
    private let text: String

    init(_ key: ParameterKey, _ pair: ParameterPair) {
        self.key = key
        self.pair = pair
        text = String(decoding: pair.value, as: UTF8.self)
    }

    private var bad: CommandError { CommandError(.badValue, "\(pair.shown): \(key.rule)") }

    private func notBuilt(_ instead: String) -> CommandError {
        CommandError(.notSupported, "\(pair.shown) is not built yet: use \(instead)")
    }

    /// One of an enumeration's words; those in `notBuilt` are refused with what to use instead.
    func word<Value>(notBuilt later: [Value: String]) throws(CommandError) -> Value
    where Value: RawRepresentable<String> {
        guard let value = Value(rawValue: text) else { throw bad }
        if let instead = later[value] { throw notBuilt(instead) }
        return value
    }

    func errorPolicy() throws(CommandError) -> JobParameters.ErrorPolicy {
        try word(notBuilt: [.ignore: "\(key.rawValue)=stop, and resume the job by hand"])
    }

    func flag() throws(CommandError) -> Bool {
        switch text {
        case "on": return true
        case "off": return false
        default: throw bad
        }
    }

    func size(_ allowed: ClosedRange<Int> = 0...Int.max) throws(CommandError) -> Int {
        guard let size = ByteSize.parse(text), allowed.contains(size) else { throw bad }
        return size
    }

    func number(_ allowed: ClosedRange<Int>) throws(CommandError) -> Int {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
            allowed.contains(number)
        else { throw bad }
        return number
    }

    /// `value` where it is the one value that is built.
    func only(_ built: Int, _ value: Int) throws(CommandError) -> Int {
        if value != built { throw notBuilt("\(key.rawValue)=\(built)") }
        return value
    }

    func granularity() throws(CommandError) -> Granularity {
        guard let granularity = Granularity(bytes: try size()) else { throw bad }
        return granularity
    }

    func path() throws(CommandError) -> [UInt8] {
        if text.hasPrefix("nbd:") || text.hasPrefix("nbd+unix:") {
            throw notBuilt("a file, a directory or a block device")
        }
        guard pair.value.first == UInt8(ascii: "/"), !pair.value.contains(0) else { throw bad }
        return pair.value
    }
}
