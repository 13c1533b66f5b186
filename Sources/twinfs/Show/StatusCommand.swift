import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorState
import MirrorSystem
import MirrorTarget

/// Paths that a command looks at.
struct LookArguments: ParsableArguments {
    @Argument(
        help: "An image, a directory or a mountpoint; every twinfs mount where none is named.")
    var paths: [RawArgument] = []

    /// The mounts with the reports about what was asked for. Where no path is named, a mount that
    /// does not answer is told of and left out, as long as another one does.
    ///
    /// - Throws: `unknownName` where a path has no job.
    func reports() throws -> [(mount: Mounted, report: StatusReport)] {
        let mounts = try Mounted.find(paths)
        guard paths.isEmpty, mounts.count > 1 else {
            return try mounts.map { ($0, try report($0)) }
        }
        let reports = mounts.compactMap { mount in
            do { return (mount, try mount.report()) } catch {
                Console.complain((error as? Failure)?.message ?? "\(error)")
                return nil
            }
        }
        if reports.isEmpty { throw Failure(.noAnswer, "no mount answers") }
        return reports
    }

    private func report(_ mount: Mounted) throws -> StatusReport {
        let report = try mount.report()
        if let name = mount.missing(in: report).first {
            throw Failure(
                .unknownName,
                "\(mount.shown)/\(name): has no job; start one: twinfs mirror \(mount.shown)/\(name)"
                    + " target=/backup/")
        }
        return report
    }
}

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say how far each job is and what its twin is worth.",
        discussion: """
            Example: twinfs status /srv/images/vm1.img

            Ends with \(ExitReason.jobFailed.rawValue) when a job that was named failed or stands with an \
            error. --json prints the mount's status.json, one object for each mount, with the named jobs alone.
            """)

    @OptionGroup var arguments: LookArguments

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let reports = try arguments.reports()
        for (_, report) in reports {
            if json {
                Console.print(report.json)
            } else {
                Console.print(StatusText.render(report, now: WallClock.now.seconds), newline: false)
            }
        }
        let named = !arguments.paths.isEmpty
        if named, reports.contains(where: { $0.report.jobs.contains { $0.error != nil } }) {
            throw Failure(.jobFailed, "")
        }
    }
}
