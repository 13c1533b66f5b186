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

    /// One of an enumeration's words.
    func word<Value>() throws(CommandError) -> Value where Value: RawRepresentable<String> {
        guard let value = Value(rawValue: text) else { throw bad }
        return value
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

    func granularity() throws(CommandError) -> Granularity {
        guard let granularity = Granularity(bytes: try size()) else { throw bad }
        return granularity
    }

    func checkpoint() throws(CommandError) -> String {
        guard let name = CheckpointName.parse(pair.value) else { throw bad }
        return name
    }

    /// Where to mirror to: an absolute path, or the URI of an NBD export.
    func target() throws(CommandError) -> [UInt8] {
        JobParameters.isURI(pair.value) ? try uri() : try path()
    }

    /// What a URI means is the target's to judge; here it only has to name somebody to ask.
    private func uri() throws(CommandError) -> [UInt8] {
        let rest = pair.value.drop { $0 != UInt8(ascii: "/") }.dropFirst(2)
        let isSocket = pair.value.starts(with: Array("nbd+unix:".utf8))
        let startsPath = rest.first == UInt8(ascii: "/")
        guard !rest.isEmpty, isSocket == startsPath, !pair.value.contains(0) else { throw bad }
        return pair.value
    }

    private func path() throws(CommandError) -> [UInt8] {
        guard pair.value.first == UInt8(ascii: "/"), !pair.value.contains(0) else { throw bad }
        return pair.value
    }

    /// An absolute path that does not say directory.
    func program() throws(CommandError) -> [UInt8] {
        let path = try path()
        guard path.last != UInt8(ascii: "/") else { throw bad }
        return path
    }
}
