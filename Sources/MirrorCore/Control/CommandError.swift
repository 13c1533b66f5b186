/// Why a command was refused or failed, in words for the person who gave it.
///
/// Turned into an errno for the writer of `.mirror/control`, into a line for its reader, and into
/// an exit code for the command line.
public struct CommandError: Error, Hashable, Sendable {
    public let code: Code
    /// What happened, to which thing, and what to do about it. One line, names already harmless.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The errno that write(2) on `.mirror/control` fails with.
    public var errno: Int32 { code.errno }

    /// What reading the same handle gives: `error CODE: message`.
    public var reply: String { "error \(code.rawValue): \(message)" }

    /// The error that a mount told in `reply`; nil where the line is not an error's.
    public init?(reply: String) {
        guard reply.hasPrefix("error ") else { return nil }
        let words = reply.dropFirst("error ".count)
        if let colon = words.firstIndex(of: ":"),
            let code = Code(rawValue: String(words[..<colon]))
        {
            self.init(code, String(words[words.index(after: colon)...].drop { $0 == " " }))
        } else {
            self.init(.io, String(words))
        }
    }

    /// What kind of error. The raw value is the word in the reply; it is stable.
    public enum Code: String, CaseIterable, Sendable {
        // The line itself.
        case empty
        case tooLong = "too-long"
        case notUTF8 = "not-utf8"
        case badSyntax = "bad-syntax"
        case unknownVerb = "unknown-verb"
        case unknownKey = "unknown-key"
        case badValue = "bad-value"
        case notSupported = "not-supported"
        // What it names.
        case unknownJob = "unknown-job"
        case unknownImage = "unknown-image"
        case badState = "bad-state"
        case imageBusy = "image-busy"
        // The target.
        case exists
        case targetIsSource = "target-is-source"
        case targetInsideMount = "target-inside-mount"
        case sourceInsideTarget = "source-inside-target"
        case targetBusy = "target-busy"
        case targetTooSmall = "target-too-small"
        case noSpace = "no-space"
        case notWritable = "not-writable"
        case notFound = "not-found"
        case io
    }
}

extension CommandError.Code {
    /// Linux's numbers, the same on every architecture that Swift runs on:
    ///
    /// | errno | codes |
    /// |---|---|
    /// | EINVAL 22 | empty, bad-syntax, unknown-verb, unknown-key, bad-value |
    /// | EINVAL 22 | target-is-source, target-inside-mount, source-inside-target |
    /// | E2BIG 7 | too-long |
    /// | EILSEQ 84 | not-utf8 |
    /// | EOPNOTSUPP 95 | not-supported |
    /// | ENOENT 2 | unknown-job, unknown-image, not-found |
    /// | EBUSY 16 | bad-state, image-busy, target-busy |
    /// | EEXIST 17 | exists |
    /// | EFBIG 27 | target-too-small |
    /// | ENOSPC 28 | no-space |
    /// | EACCES 13 | not-writable |
    /// | EIO 5 | io |
    public var errno: Int32 {
        switch self {
        case .empty, .badSyntax, .unknownVerb, .unknownKey, .badValue, .targetIsSource,
            .targetInsideMount, .sourceInsideTarget:
            22
        case .tooLong: 7
        case .notUTF8: 84
        case .notSupported: 95
        case .unknownJob, .unknownImage, .notFound: 2
        case .badState, .imageBusy, .targetBusy: 16
        case .exists: 17
        case .targetTooSmall: 27
        case .noSpace: 28
        case .notWritable: 13
        case .io: 5
        }
    }

    /// What the command line ends with when a mount answers with this error.
    public var exitReason: ExitReason {
        switch self {
        case .empty, .tooLong, .notUTF8, .badSyntax, .unknownVerb, .unknownKey, .badValue:
            .badCommand
        case .notSupported: .notSupported
        case .unknownJob, .unknownImage: .unknownName
        case .badState, .imageBusy: .badState
        case .exists: .exists
        case .targetIsSource, .targetInsideMount, .sourceInsideTarget, .targetBusy,
            .targetTooSmall, .notFound:
            .badTarget
        case .noSpace: .noSpace
        case .notWritable: .notPermitted
        case .io: .failure
        }
    }
}
