import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorState
import MirrorSystem

struct WaitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until jobs are ready, completed or ended.",
        discussion: """
            Example: twinfs wait --for ready --timeout 3600 /srv/images/vm1.img

            Ends with 0 when all are, \(ExitReason.timedOut.rawValue) when the time passed first, \
            \(ExitReason.jobFailed.rawValue) when a job failed or stands with an error, \
            \(ExitReason.jobCancelled.rawValue) when one was cancelled. Ctrl-C leaves the jobs alone.
            """)

    @Option(name: .customLong("for"), help: "What to wait for: ready, completed or ended.")
    var goal = Goal.ready

    @Option(help: "Seconds to wait at most.")
    var timeout: Double?

    @Flag(help: "Print the last status as JSON.")
    var json = false

    @OptionGroup var arguments: LookArguments

    func run() throws {
        let end = timeout.map { SteadyClock.milliseconds + Int(min(max(0, $0), 1e9) * 1000) }
        while true {
            let reports = try arguments.reports()
            let jobs = reports.flatMap { $0.report.jobs }
            if jobs.isEmpty { throw Failure(.unknownName, "there is no job to wait for") }
            let outcome = goal.outcome(jobs)
            let late = end.map { SteadyClock.milliseconds >= $0 } ?? false
            if let reason = outcome ?? (late ? .timedOut : nil) {
                return try finish(reason, reports)
            }
            SteadyClock.sleep(milliseconds: 200)
        }
    }

    private func finish(
        _ reason: ExitReason, _ reports: [(mount: Mounted, report: StatusReport)]
    ) throws {
        for (_, report) in reports {
            if json {
                Console.print(report.json)
            } else {
                Console.print(StatusText.render(report, now: WallClock.now.seconds), newline: false)
            }
        }
        if reason != .success { throw Failure(reason, reason.meaning) }
    }
}
