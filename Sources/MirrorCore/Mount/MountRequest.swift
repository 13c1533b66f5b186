/// What the `-o` options of a mount ask for.
public struct MountRequest: Hashable, Sendable {
    /// `target=`: an absolute directory; nil where jobs are started one by one.
    public var target: [UInt8]?
    /// Globs over relative paths: which images `target=` means. Empty is all.
    public var include: [String] = []
    public var exclude: [String] = []
    /// Whether images created later get a job too.
    public var auto = false
    public var allowOther = false
    public var isReadOnly = false
    /// Name or number of the group that may write `.mirror/control`.
    public var controlGroup: String?
    /// Absolute path of a file to log to.
    public var log: [UInt8]?
    public var isDebugging = false
    /// `statedir=`: absolute path of the directory for what must outlive the daemon; nil where the
    /// place is the usual one.
    public var stateDirectory: [UInt8]?
    /// Defaults of every job, without a target.
    public var parameters = JobParameters()
    /// Generic flags for the kernel, such as `noexec`.
    public var kernelFlags: [String] = []

    /// - Parameter options: the values of all `-o`, each a list with commas. A comma in a value is
    ///   written `\,` or stands between double quotes.
    /// - Throws: `unknownKey` or `badValue`, with the option.
    public init(parsing options: [[UInt8]]) throws(CommandError) {
        var pairs: [ParameterPair] = []
        for option in options.flatMap(Self.split) where !option.isEmpty {
            try take(option, &pairs)
        }
        parameters = try JobParameters(parsing: pairs)
        if let target = parameters.target, parameters.targetIsURI { throw Self.noExport(target) }
        target = parameters.target
        parameters.target = nil
        if target == nil { try refuseWithoutTarget() }
    }

    /// An export holds one image, and the mount's target is for all.
    private static func noExport(_ target: [UInt8]) -> CommandError {
        CommandError(
            .badValue,
            "target=\(NameText.shown(target)): a mount mirrors to a directory; start the job of one image"
                + " to an export with twinfs mirror")
    }

    private func refuseWithoutTarget() throws(CommandError) {
        guard auto || !include.isEmpty || !exclude.isEmpty else { return }
        let option = auto ? "auto" : include.isEmpty ? "exclude" : "include"
        throw CommandError(
            .badValue,
            "\(option): chooses images for target=, and there is no target=; add it, e.g."
                + " target=/backup")
    }

    /// Flags of mount(8) that the kernel understands for any filesystem.
    private static let kernelKnows: Set<String> = [
        "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime", "relatime",
        "norelatime",
        "strictatime", "nodiratime", "diratime", "sync", "async", "dirsync", "lazytime",
    ]

    /// Words of fstab that are not for the filesystem.
    private static let ignored: Set<String> = [
        "rw", "defaults", "nofail", "_netdev", "noauto", "auto", "user", "nouser", "users", "owner",
        "group", "silent", "loud", "comment",
    ]

    private mutating func take(
        _ option: [UInt8], _ pairs: inout [ParameterPair]
    ) throws(CommandError) {
        let parts = option.split(
            separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(decoding: parts[0], as: UTF8.self)
        guard parts.count > 1 else { return try takeFlag(name) }
        let value = Array(parts[1])
        if name.hasPrefix("x-") || name == "comment" || name == "subtype" { return }
        if try takeOwn(name, value) { return }
        let pair = ParameterPair(key: Array(parts[0]), value: value)
        guard ParameterKey(rawValue: name) != nil else { throw Self.unknown(option) }
        pairs.append(pair)
    }

    private mutating func takeFlag(_ name: String) throws(CommandError) {
        switch name {
        case "allow_other": allowOther = true
        case "ro": isReadOnly = true
        case "rw": isReadOnly = false
        case "debug": isDebugging = true
        case _ where Self.kernelKnows.contains(name): kernelFlags.append(name)
        case _ where Self.ignored.contains(name) || name.hasPrefix("x-"): break
        default: throw Self.unknown(Array(name.utf8))
        }
    }

    /// False where it is no option of the mount's own.
    private mutating func takeOwn(_ name: String, _ value: [UInt8]) throws(CommandError) -> Bool {
        let text = String(decoding: value, as: UTF8.self)
        let shown = "\(name)=\(NameText.shown(value))"
        switch name {
        case "include": include.append(text)
        case "exclude": exclude.append(text)
        case "auto": auto = try Self.flag(text, shown)
        case "control_group":
            if text.isEmpty { throw CommandError(.badValue, "\(shown): must be a group") }
            controlGroup = text
        case "log":
            log = try Self.path(
                value, "\(shown): must be an absolute path, e.g. log=/var/log/twinfs")
        case "statedir":
            stateDirectory = try Self.path(
                value, "\(shown): must be an absolute path, e.g. statedir=/var/lib/twinfs/images")
        default: return false
        }
        return true
    }

    private static func path(_ value: [UInt8], _ rule: String) throws(CommandError) -> [UInt8] {
        guard value.first == UInt8(ascii: "/"), !value.contains(0) else {
            throw CommandError(.badValue, rule)
        }
        return value
    }

    private static func flag(_ text: String, _ shown: String) throws(CommandError) -> Bool {
        guard text == "on" || text == "off" else {
            throw CommandError(.badValue, "\(shown): must be on or off, e.g. auto=on")
        }
        return text == "on"
    }

    private static func unknown(_ option: [UInt8]) -> CommandError {
        CommandError(
            .unknownKey,
            "-o \(NameText.shown(option)): no such option; known are target, include, exclude,"
                + " auto, allow_other, ro, control_group, log, statedir, debug, mount(8)'s own, and \(ParameterKey.all)"
        )
    }

    /// The options of one list, unquoted.
    static func split(_ list: [UInt8]) -> [[UInt8]] {
        var (options, option, quoted, rest) = ([[UInt8]](), [UInt8](), false, list[...])
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): quoted.toggle()
            case UInt8(ascii: "\\") where rest.first == UInt8(ascii: ",") || rest.first == byte:
                option.append(rest.removeFirst())
            case UInt8(ascii: ",") where !quoted:
                options.append(option)
                option = []
            default: option.append(byte)
            }
        }
        return options + [option]
    }
}
