import Dispatch
import MirrorCore
import MirrorJob
import MirrorState
import MirrorSystem
import MirrorTarget
package import SystemPackage

/// What a command line written to `.mirror/control` came to.
package struct CommandResult: Sendable {
    /// The errno that the write(2) fails with; nil where it succeeded.
    package let errno: Errno?
    /// One line without its newline, `ok …` or `error …`: what reading the same handle gives.
    package let text: String

    init(ok text: String) { (errno, self.text) = (nil, "ok \(text)") }

    init(_ error: CommandError) { (errno, text) = (Errno(rawValue: error.errno), error.reply) }
}

extension Engine {
    package typealias CommandReply = @Sendable (CommandResult) -> Void

    /// Runs one line of `.mirror/control`. Returns at once; `reply` is called once, on any thread,
    /// when the command has taken effect or was refused.
    package func execute(_ line: [UInt8], reply: @escaping CommandReply) {
        do throws(CommandError) {
            try execute(Command.parse(line, defaults: configuration.defaults), reply)
        } catch {
            reply(CommandResult(error))
        }
    }

    private func execute(_ command: Command, _ reply: @escaping CommandReply) throws(CommandError) {
        switch command {
        case .mirror(let images, let parameters):
            start(images.map { FilePath(bytes: $0) }, parameters, reply)
        case .pause(let id):
            try run(id, reply) { (job) throws(CommandError) in try job.pause() }
        case .resume(let id):
            try run(id, reply) { (job) throws(CommandError) in try job.resume() }
        case .set(let id, let changes):
            try run(id, reply) { (job) throws(CommandError) in try job.set(changes) }
        case .cancel(let id, let force):
            try run(id, reply) { (job) throws(CommandError) in try job.cancel(force: force) }
        case .complete(let id, let switchOver):
            try runWhenBack(id, reply) { (job) throws(CommandError) in
                try job.complete(switchOver: switchOver)
            }
        case .verify(let id, let repair):
            try runWhenBack(id, reply) { (job) throws(CommandError) in
                try job.verify(repair: repair)
            }
        case .checkpoint(let path, let name, let delete):
            checkpoint(FilePath(bytes: path), name, delete: delete, reply)
        case .dismiss(let id):
            try dismiss(id, reply)
        case .restart: try restart(reply)
        }
    }

    /// Runs `body` on the job's queue, which no target can block, and replies with its words.
    private func run(
        _ id: [UInt8], _ reply: @escaping CommandReply,
        _ body: @escaping @Sendable (Job) throws(CommandError) -> String
    ) throws(CommandError) {
        let job = try job(id)
        job.queue.async { self.run(body, of: job, reply) }
    }

    private func run(
        _ body: @Sendable (Job) throws(CommandError) -> String, of job: Job,
        _ reply: @escaping CommandReply
    ) {
        do throws(CommandError) {
            let words = try body(job)
            // What was answered holds after a restart too.
            job.keep { reply(CommandResult(ok: "\(NameText.shown(job.id)): \(words)")) }
        } catch {
            reply(CommandResult(error))
        }
    }

    /// Runs a command that needs the twins. Nobody must notice a restart of the worker:
    /// while a job that came back opens them for the first time, the command waits, for five
    /// seconds at most.
    private func runWhenBack(
        _ id: [UInt8], _ reply: @escaping CommandReply,
        _ body: @escaping @Sendable (Job) throws(CommandError) -> String
    ) throws(CommandError) {
        let job = try job(id)
        job.queue.async { self.run(body, of: job, whenBackWithin: 100, reply) }
    }

    private func run(
        _ body: @escaping @Sendable (Job) throws(CommandError) -> String, of job: Job,
        whenBackWithin looks: Int, _ reply: @escaping CommandReply
    ) {
        guard job.isComingBack, looks > 0 else { return run(body, of: job, reply) }
        job.queue.asyncAfter(deadline: .now() + .milliseconds(50)) {
            self.run(body, of: job, whenBackWithin: looks - 1, reply)
        }
    }

    private func dismiss(_ id: [UInt8], _ reply: @escaping CommandReply) throws(CommandError) {
        if let past = jobs.ended(id), jobs.exactly(id) == nil {
            jobs.remove(past)
            return records.remove(past.uuid) {
                reply(CommandResult(ok: "\(NameText.shown(past.id)): forgotten; its twin stays"))
            }
        }
        let job: Job
        if let exact = jobs.exactly(id) { job = exact } else { job = try self.job(id) }
        guard job.hasEnded else {
            throw CommandError(
                .badState,
                "job \(NameText.shown(job.id)): still lives; end it first with cancel or complete")
        }
        jobs.remove(job)
        records.remove(job.uuid) {
            reply(CommandResult(ok: "\(NameText.shown(job.id)): forgotten; its twin stays"))
        }
    }

    private func job(_ id: [UInt8]) throws(CommandError) -> Job {
        guard let job = jobs.find(id) else {
            if let past = jobs.ended(id) {
                throw CommandError(
                    .badState,
                    "job \(NameText.shown(id)) has ended (\(past.report.phase.rawValue)); forget it with: dismiss"
                )
            }
            throw CommandError(
                .unknownJob,
                "job \(NameText.shown(id)): there is none; see .mirror/status for those there are, or start one"
                    + " with mirror")
        }
        return job
    }
}

extension Engine {
    /// Starts a job; everything that can be refused is refused before anything is made.
    func start(
        _ paths: [FilePath], _ parameters: JobParameters, _ reply: @escaping CommandReply
    ) {
        // A queue of its own: a target that hangs while it is opened keeps nobody else waiting.
        DispatchQueue(label: "twinfs.start", qos: .utility).async { [self] in
            do throws(CommandError) {
                let job = try makeJob(paths, parameters)
                let target = job.members[0].twin.place.name
                job.begin {
                    reply(CommandResult(ok: "\(NameText.shown(job.id)): mirroring to \(target)"))
                }
            } catch {
                reply(CommandResult(error))
            }
        }
    }

    private func makeJob(
        _ paths: [FilePath], _ parameters: JobParameters
    ) throws(CommandError) -> Job {
        let parts = try JobPlan(paths, parameters, self)
        try parts.stamp(self)
        for old in jobs.takeReplaced(by: paths[0].bytes) { records.remove(old.uuid) {} }
        let job = jobs.add(paths[0].bytes) { Job(parts, id: $0, services: services) }
        job.makeIntents()
        return job
    }

    /// What jobs need of the mount.
    var services: JobServices {
        JobServices(
            permits: permits, forwardPermits: forwardPermits, records: records, log: log,
            keptBy: records.directory == nil ? nil : keeper,
            ignoresIntents: configuration.ignoresIntents, intentPeriod: intentPeriod,
            tell: { [weak self] in self?.tell($0, $1) },
            ended: { [weak self] job in
                for member in job.members { self?.release(member.image) }
            },
            switchOver: { [weak self] moves throws(CommandError) in
                try self?.switchOver(moves)
            },
            servingPath: { [weak self] in self?.servingPath(of: $0) },
            checkpoints: { [weak self] in self?.checkpoints.ids(of: $0) ?? [] })
    }
}
