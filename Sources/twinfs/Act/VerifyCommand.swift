import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorSystem
import MirrorTarget

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Compare source and twin while the guest runs, and count what differs.",
        discussion: """
            Example: twinfs verify /srv/images/vm1.img repair=on

            Waits for the result. Ends with \(ExitReason.twinDiffers.rawValue) where something differs; with \
            repair=on that is copied again, which is no failure. Ctrl-C leaves the verification alone.
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws {
        let paths = arguments.paths
        if paths.isEmpty {
            throw ValidationError("Name an image inside a mount, e.g. /srv/images/vm1.img")
        }
        let table = try Mounted.table()
        var worst: ExitReason?
        for path in paths {
            do { try verify(path, table) } catch {
                let failure = Action.failure(error)
                worst = worst ?? failure.reason
                say(path, failure)
            }
        }
        if let worst { throw Failure(worst, "") }
    }

    private func say(_ path: RawArgument, _ failure: Failure) {
        // What differs was printed with the result.
        if failure.message.isEmpty { return }
        if arguments.json {
            let text = JSONText.string(failure.message)
            Console.print(
                "{\"path\": \(JSONText.string(NameText.shown(path.bytes))), \"ok\": false, \"message\": \(text)}"
            )
        } else {
            Console.complain(NameText.harmless(failure.message))
        }
    }

    /// Has one job verified, and waits for it.
    private func verify(_ path: RawArgument, _ table: MountTable) throws {
        let mount = try Mounted.find(path, table)
        let action = Action(verb: .verify, arguments: arguments)
        let reply = try mount.execute(try action.line(mount, path))
        while true {
            // The reply begins with the job's id: an image may have several jobs.
            let job = try mount.report().jobs.first { reply.hasPrefix("ok \($0.id): verifying") }
            guard let job else {
                throw Failure(
                    .unknownName,
                    "\(NameText.shown(path.bytes)): its job was dismissed meanwhile")
            }
            if !job.verifying { return try finish(job, mount, path) }
            SteadyClock.sleep(milliseconds: 200)
        }
    }

    private func finish(_ job: JobReport, _ mount: Mounted, _ path: RawArgument) throws {
        let (different, repaired) = (job.mismatchedBytes ?? 0, job.repairedBytes ?? 0)
        let isWhole = job.verifyError == nil
        if arguments.json {
            let shown = JSONText.string(NameText.shown(path.bytes))
            let error = job.verifyError.map { JSONText.string($0) } ?? "null"
            Console.print(
                "{\"path\": \(shown), \"ok\": \(isWhole && different <= repaired),"
                    + " \"verified-bytes\": \(job.verifiedBytes ?? 0), \"mismatched-bytes\": \(different),"
                    + " \"repaired-bytes\": \(repaired), \"unverified-bytes\": \(job.unverifiedBytes ?? 0),"
                    + " \"error\": \(error)}")
        } else if let line = StatusText.verification(job, mountpoint: mount.shown) {
            Console.print("\(NameText.harmless(job.id)): \(line)")
        }
        if different > repaired { throw Failure(.twinDiffers, "") }
        if !isWhole { throw Failure(.failure, "") }
    }
}
