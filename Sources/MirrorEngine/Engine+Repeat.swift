import MirrorCore
import MirrorJob
import MirrorSystem
import SystemPackage

// Commands that a worker gets whose predecessor died over them. It cannot know whether they took
// effect; but whether the effect stands can be asked, and the predecessor has noted whether it
// stood before.

extension Engine {
    /// Whether what a line asks for is so already. Asked before the line is executed, so that a
    /// worker that gets it again can tell its predecessor's doing from what was there.
    package func stands(_ line: [UInt8]) -> Bool {
        guard let command = try? Command.parse(line, defaults: configuration.defaults) else {
            return false
        }
        return stands(command)
    }

    /// Runs a line that a predecessor began, and did not answer, when its effect did not stand. It
    /// succeeds where the effect stands now. Otherwise as `execute(_:reply:)`.
    package func executeAgain(_ line: [UInt8], reply: @escaping CommandReply) {
        let command = try? Command.parse(line, defaults: configuration.defaults)
        // Whoever asked is served by another worker now, which is what was asked for.
        if command == .restart { return reply(CommandResult(ok: "was restarted")) }
        if let command, stands(command) {
            return reply(CommandResult(ok: "was done before the daemon's worker was restarted"))
        }
        execute(line, reply: reply)
    }

    private func stands(_ command: Command) -> Bool {
        switch command {
        case .mirror(let images, let parameters): isRunning(images[0], parameters)
        case .pause(let id): jobs.find(id)?.report().paused == true
        case .resume(let id): jobs.find(id)?.report().paused == false
        case .cancel(let id, _), .complete(let id, _):
            jobs.find(id)?.isEnding ?? (jobs.ended(id) != nil)
        case .dismiss(let id): jobs.find(id) == nil && jobs.ended(id) == nil
        case .checkpoint(let image, let name, let delete): has(name, of: image) != delete
        // Done twice is done once; a verification that was begun ended with the worker.
        case .set, .verify, .restart: false
        }
    }

    /// Whether a live job mirrors the image to this target.
    private func isRunning(_ image: [UInt8], _ parameters: JobParameters) -> Bool {
        jobs.all.contains { job in
            !job.hasEnded && job.mirrors(image) && job.asked.target == parameters.target
        }
    }

    /// Whether the image has a checkpoint of this name.
    private func has(_ name: String, of image: [UInt8]) -> Bool {
        let components = image.split(separator: UInt8(ascii: "/")).map(Array.init)
        return lookUp(Array(name.utf8), in: .checkpoints(components)) != nil
    }
}

extension Job {
    /// Whether it is over, or on its way there.
    fileprivate var isEnding: Bool { hasEnded || report().phase == .completing }
}
