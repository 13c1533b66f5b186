import MirrorCore
import MirrorSystem
import SystemPackage

// Commands that a worker gets whose predecessor died over them: it cannot know whether they took effect.

extension Engine {
    /// As `execute(_:reply:)`.
    ///
    /// - Parameter isRepeat: whether a predecessor began the same command and its answer did not arrive. It
    ///   succeeds where its effect stands.
    public func execute(_ line: [UInt8], isRepeat: Bool, reply: @escaping CommandReply) {
        guard isRepeat, let command = try? Command.parse(line, defaults: configuration.defaults)
        else { return execute(line, reply: reply) }
        // Whoever asked is served by another worker now, which is what was asked for.
        if command == .restart { return reply(CommandResult(ok: "was restarted")) }
        if case .mirror(let images, let parameters) = command,
            let job = runningJob(of: images[0], parameters)
        {
            return reply(CommandResult(ok: "\(NameText.shown(job.id)): is mirroring already"))
        }
        execute(line) { result in
            let error = result.errno == nil ? nil : CommandError(reply: result.text)
            guard let error, command.stands(despite: error.code) else { return reply(result) }
            reply(CommandResult(ok: "was done before the daemon's worker was restarted"))
        }
    }

    /// The live job that a `mirror` of this image to this target has started.
    private func runningJob(of image: [UInt8], _ parameters: JobParameters) -> Job? {
        jobs.all.first { job in
            !job.hasEnded && job.mirrors(image) && job.parameters.target == parameters.target
        }
    }
}

extension Command {
    /// Whether a second try that fails like this says that the first one took effect.
    fileprivate func stands(despite code: CommandError.Code) -> Bool {
        switch self {
        case .pause, .resume, .cancel, .complete, .verify: code == .badState
        case .dismiss: code == .unknownJob
        case .checkpoint(_, _, let delete): delete ? code == .unknownImage : code == .exists
        case .mirror, .set, .restart: false
        }
    }
}
