import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// What every command that acts takes: paths of images and `key=value` words.
struct ActionArguments: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "An image inside a mount (a further job of it as PATH#2), and key=value parameters. A path with"
                + " an equals sign is written ./a=b.",
            valueName: "path|key=value"))
    var words: [RawArgument]

    @Flag(help: "Say the outcome in JSON, a line for each path.")
    var json = false

    var paths: [RawArgument] { words.filter { parameter($0) == nil } }
    var parameters: [ParameterPair] { words.compactMap { parameter($0) } }

    /// `key=value` where the key is letters and dashes.
    private func parameter(_ word: RawArgument) -> ParameterPair? {
        guard let equals = word.bytes.firstIndex(of: UInt8(ascii: "=")), equals > 0 else {
            return nil
        }
        let key = word.bytes[..<equals]
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        guard key.allSatisfy({ letters.contains($0) || $0 == UInt8(ascii: "-") }) else {
            return nil
        }
        return ParameterPair(key: Array(key), value: Array(word.bytes[(equals + 1)...]))
    }
}

/// Sends one verb for the paths of a command.
struct Action {
    let verb: Command.Verb
    let paths: [RawArgument]
    /// What follows the names, as it stands in the line.
    var words: [String] = []
    let parameters: [ParameterPair]
    let json: Bool

    /// A line for each path; all are tried, and the first error is what the command ends with.
    func run() throws {
        let table = try Mounted.table()
        try refuseNoPaths()
        var first: Failure?
        for path in paths {
            first = attempt(path) { try Mounted.find(path, table) } ?? first
        }
        if let first { throw Failure(first.reason, "") }
    }

    /// One line with all paths, which must lie in one mount: a group.
    func runTogether() throws {
        try refuseNoPaths()
        let mounts = try Mounted.find(paths)
        guard mounts.count == 1 else {
            throw Failure(.badCommand, "\(verb.rawValue): the images lie in \(mounts.count) mounts")
        }
        if let failure = attempt(paths[0], { mounts[0] }) {
            throw Failure(failure.reason, "")
        }
    }

    private func refuseNoPaths() throws {
        if paths.isEmpty {
            throw ValidationError("Name an image inside a mount, e.g. /srv/images/vm1.img")
        }
    }

    /// Sends the command and prints what came of it; the failure if it failed.
    private func attempt(_ path: RawArgument, _ find: () throws -> Mounted) -> Failure? {
        do {
            let mount = try find()
            let reply = try mount.execute(try line(mount, path))
            say(path, ok: true, ["reply": reply]) { Console.print(NameText.harmless(reply)) }
            return nil
        } catch {
            let failure = Self.failure(error)
            let code = (error as? CommandError)?.code.rawValue ?? "exit-\(failure.reason.rawValue)"
            say(path, ok: false, ["code": code, "message": failure.message]) {
                Console.complain(NameText.harmless(failure.message))
            }
            return failure
        }
    }

    static func failure(_ error: any Error) -> Failure {
        if let error = error as? CommandError { return Failure(error) }
        return error as? Failure ?? Failure(.failure, "\(error)")
    }

    private func say(
        _ path: RawArgument, ok: Bool, _ more: KeyValuePairs<String, String>, plain: () -> Void
    ) {
        guard json else { return plain() }
        let start = "{\"path\": \(JSONText.string(NameText.shown(path.bytes))), \"ok\": \(ok)"
        let rest = more.map { ", \(JSONText.string($0.key)): \(JSONText.string($0.value))" }
        Console.print(start + rest.joined() + "}")
    }

    /// `verb NAME… key=value…` with its newline.
    func line(_ mount: Mounted, _ path: RawArgument) throws -> String {
        guard !mount.names.isEmpty else {
            throw Failure(
                .badCommand,
                "\(NameText.shown(path.bytes)): is the mount itself; name an image in it")
        }
        let names = mount.names.map { ControlLine.quote($0) }
        let parameters = self.parameters.map { pair in
            String(decoding: pair.key, as: UTF8.self) + "=" + ControlLine.quote(absolute(pair))
        }
        return ([verb.rawValue] + names + words + parameters).joined(separator: " ") + "\n"
    }

    /// A file is named from the directory of the one who names it, not the daemon's.
    private func absolute(_ pair: ParameterPair) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        let isFile =
            ParameterKey(rawValue: String(decoding: pair.key, as: UTF8.self))?.row.isFile == true
        guard isFile, let first = pair.value.first, first != slash,
            !JobParameters.isURI(pair.value), let here = try? FilePath(".").resolved()
        else { return pair.value }
        return here.bytes + [slash] + pair.value
    }
}

extension Action {
    init(verb: Command.Verb, arguments: ActionArguments) {
        self.init(
            verb: verb, paths: arguments.paths, parameters: arguments.parameters,
            json: arguments.json)
    }
}
