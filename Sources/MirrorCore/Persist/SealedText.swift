/// A file of the state directory: a line that says version and checksum, and below it the body.
///
/// ```
/// {"version":1,"crc32c":"e3069283"}
/// {"generation":3,"records":[…]}
/// ```
///
/// Whatever is not exactly what `seal` wrote is refused: half a file, a changed byte, one byte
/// more.
public enum SealedText {
    /// The version that is written, and the only one that is read.
    public static let version = 1

    /// Why a file cannot be believed.
    public enum Failure: Error, Equatable, Sendable {
        /// Another version of twinfs wrote it.
        case version(Int)
        case damaged
    }

    /// `body` with its first line.
    public static func seal(_ body: [UInt8]) -> [UInt8] { head(body) + body }

    /// The body of a file that `seal` made.
    public static func open(_ file: [UInt8]) throws(Failure) -> [UInt8] {
        guard let end = file.firstIndex(of: UInt8(ascii: "\n")) else { throw .damaged }
        let body = Array(file[(end + 1)...])
        if Array(file[...end]) == head(body) { return body }
        if let other = version(of: file[..<end]), other != version { throw .version(other) }
        throw .damaged
    }

    private static func head(_ body: [UInt8]) -> [UInt8] {
        let digits = String(Checksum.crc32c(body), radix: 16)
        let sum = String(repeating: "0", count: 8 - digits.count) + digits
        return Array("\(start)\(version),\"crc32c\":\"\(sum)\"}\n".utf8)
    }

    /// Every version's first line begins with this.
    private static let start = "{\"version\":"

    private static func version(of line: ArraySlice<UInt8>) -> Int? {
        guard line.starts(with: start.utf8) else { return nil }
        let digits = line.dropFirst(start.utf8.count).prefix { (0x30...0x39).contains($0) }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}

extension SealedText.Failure {
    /// Why a file cannot be believed, after its name and a comma.
    public var words: String {
        switch self {
        case .version(let version):
            "it was written by another twinfs (version \(version) of the format)"
        case .damaged: "it is damaged: its checksum does not fit"
        }
    }
}
