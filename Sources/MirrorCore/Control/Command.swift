/// One command of `.mirror/control`: `verb PATH… key=value…`.
///
/// Images and jobs are relative paths of bytes, as names are; a further job of an image ends in
/// `#2`.
public enum Command: Hashable, Sendable {
    /// Several images are a group: one job with one cut. None is named twice.
    case mirror(images: [[UInt8]], parameters: JobParameters)
    case pause([UInt8])
    case resume([UInt8])
    case set([UInt8], [ParameterChange])
    /// `force` ends the job now; otherwise a ready job first makes source and twin agree.
    case cancel([UInt8], force: Bool)
    /// `switchOver` lets the guest go on on the twin.
    case complete([UInt8], switchOver: Bool)
    /// `repair` marks what differs, so that it is copied again.
    case verify([UInt8], repair: Bool)
    case dismiss([UInt8])
    /// From now on, or with `delete` no longer, what changes in the image is kept under this name
    /// (`CheckpointName`).
    case checkpoint([UInt8], String, delete: Bool)
    /// The worker makes room for a successor, which serves the mount from then on.
    case restart

    /// The first word of a line.
    public enum Verb: String, CaseIterable, Sendable {
        case mirror, pause, resume, set, cancel, complete, verify, dismiss, checkpoint, restart
    }

    /// The command that `line` (with or without its newline) gives.
    ///
    /// - Parameter defaults: what `mirror` takes for the parameters that are not written.
    /// - Throws: what is wrong with the line, before anything was done.
    public static func parse(
        _ line: [UInt8], defaults: JobParameters = JobParameters()
    ) throws(CommandError) -> Command {
        try Line(ControlLine.words(line)).command(defaults)
    }
}

/// A line sorted into verb, names and parameters.
private struct Line {
    let verb: Command.Verb
    /// The words that are no parameters, as they were written.
    var names: [[UInt8]] = []
    var pairs: [ParameterPair] = []

    init(_ words: [ControlLine.Word]) throws(CommandError) {
        guard let first = words.first else {
            throw CommandError(.empty, "the line is empty; write a verb: \(Self.verbs)")
        }
        guard let verb = Command.Verb(rawValue: String(decoding: first.bytes, as: UTF8.self)) else {
            throw CommandError(
                .unknownVerb,
                "\(NameText.shown(first.bytes)): no such verb; known are \(Self.verbs)")
        }
        self.verb = verb
        for word in words.dropFirst() {
            if let pair = word.pair {
                pairs.append(pair)
            } else {
                names.append(word.bytes)
            }
        }
    }

    func command(_ defaults: JobParameters) throws(CommandError) -> Command {
        switch verb {
        case .mirror: return try mirror(defaults)
        case .pause: return .pause(try jobAlone())
        case .resume: return .resume(try jobAlone())
        case .dismiss: return .dismiss(try jobAlone())
        case .set: return try set()
        case .cancel: return .cancel(try job(), force: try flag("force", default: false))
        case .complete:
            return .complete(try job(), switchOver: try flag("switch", default: true))
        case .verify: return .verify(try job(), repair: try flag("repair", default: false))
        case .checkpoint: return try checkpoint()
        case .restart: return try restart()
        }
    }

    private func restart() throws(CommandError) -> Command {
        if let pair = pairs.first {
            throw CommandError(
                .unknownKey, "\(pair.shown): restart takes no parameters; leave it out")
        }
        guard names.isEmpty else {
            throw CommandError(.badSyntax, "restart: takes no names; write restart alone")
        }
        return .restart
    }

    private func mirror(_ defaults: JobParameters) throws(CommandError) -> Command {
        let parameters = try JobParameters(parsing: pairs, defaults: defaults)
        guard !names.isEmpty else {
            throw CommandError(
                .badSyntax, "mirror: no image is named; write mirror IMAGE target=/backup/")
        }
        var images: [[UInt8]] = []
        for name in names {
            let image = try path(name)
            guard !images.contains(image) else {
                throw CommandError(
                    .badValue,
                    "mirror: \(ControlLine.quote(image)) is named twice; name each image of a group once"
                )
            }
            images.append(image)
        }
        try parameters.refuseGroup(of: images.count)
        return .mirror(images: images, parameters: parameters)
    }

    private func set() throws(CommandError) -> Command {
        let changes = try ParameterChange.parse(pairs)
        guard !changes.isEmpty else {
            throw CommandError(.badSyntax, "set: nothing to change; write set JOB speed=100M")
        }
        return .set(try job(), changes)
    }

    private func checkpoint() throws(CommandError) -> Command {
        guard names.count == 2 else {
            throw CommandError(
                .badSyntax,
                "checkpoint: \(names.count) words; write an image and a name, e.g. checkpoint vm1.img monday"
            )
        }
        guard let name = CheckpointName.parse(names[1]) else {
            throw CommandError(
                .badValue,
                "checkpoint \(ControlLine.quote(names[1])): must be a name, \(CheckpointName.rule),"
                    + " e.g. checkpoint vm1.img monday")
        }
        return .checkpoint(try path(names[0]), name, delete: try flag("delete", default: false))
    }
}

extension Line {
    private static var verbs: String {
        Command.Verb.allCases.map(\.rawValue).joined(separator: ", ")
    }

    /// The one job that the line names.
    private func job() throws(CommandError) -> [UInt8] {
        guard names.count == 1 else {
            throw CommandError(
                .badSyntax,
                "\(verb.rawValue): \(names.count) jobs are named; write one job a line, e.g. "
                    + "\(verb.rawValue) vm1.img")
        }
        return try path(names[0])
    }

    private func jobAlone() throws(CommandError) -> [UInt8] {
        if let pair = pairs.first {
            throw CommandError(
                .unknownKey, "\(pair.shown): \(verb.rawValue) takes no parameters; leave it out")
        }
        return try job()
    }

    /// The only parameter that the verb takes, `on` or `off`.
    private func flag(_ key: String, default value: Bool) throws(CommandError) -> Bool {
        guard let pair = pairs.first else { return value }
        guard pair.key == Array(key.utf8) else {
            throw CommandError(
                .unknownKey, "\(pair.shown): \(verb.rawValue) knows only \(key)=on and \(key)=off")
        }
        guard pairs.count == 1, pair.value == Array("on".utf8) || pair.value == Array("off".utf8)
        else {
            throw CommandError(.badValue, "\(pair.shown): must be on or off, once, e.g. \(key)=on")
        }
        return pair.value == Array("on".utf8)
    }

    /// A path relative to the mount without `.`, doubled slashes, or a way out of it.
    private func path(_ bytes: [UInt8]) throws(CommandError) -> [UInt8] {
        let parts = bytes.split(separator: UInt8(ascii: "/")).filter { $0 != [UInt8(ascii: ".")] }
        let dots = Array("..".utf8)
        guard bytes.first != UInt8(ascii: "/"), !parts.isEmpty, !parts.contains(dots[...]) else {
            throw CommandError(
                .unknownImage,
                "\(ControlLine.quote(bytes)): not an image's path relative to the mount,"
                    + " e.g. vm1.img")
        }
        return Array(parts.joined(separator: [UInt8(ascii: "/")]))
    }
}
