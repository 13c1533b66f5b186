import ArgumentParser
import MirrorCore
import MirrorSystem
import SystemPackage

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show progress bars until the jobs have ended.",
        discussion: """
            Example: twinfs watch --until ready /srv/images/vm1.img

            On a terminal the bars are drawn twice a second; elsewhere each change of state and every 10 % \
            is a line. Ctrl-C ends the watching and leaves the jobs alone.
            """)

    @Option(help: "End already when all jobs are ready, completed or ended.")
    var until = Goal.ended

    @OptionGroup var arguments: LookArguments

    func run() throws {
        var screen = Screen()
        while true {
            let reports = try arguments.reports()
            screen.show(reports.map(\.report))
            if let outcome = until.outcome(reports.flatMap { $0.report.jobs }) {
                if outcome != .success { throw Failure(outcome, "") }
                return
            }
            SteadyClock.sleep(milliseconds: 500)
        }
    }
}

/// Shows reports one after the other: in place on a terminal, as a log elsewhere.
struct Screen {
    private let terminal = FileDescriptor.standardOutput.isTerminal
    /// Lines of the last drawing, which the next one overwrites.
    private var drawn = 0
    /// What was last said of each job.
    private var said: [String: String] = [:]

    mutating func show(_ reports: [StatusReport]) {
        if terminal { draw(reports) } else { log(reports) }
    }

    private mutating func draw(_ reports: [StatusReport]) {
        // One less than the terminal has, so that no line wraps and the count stays right.
        let width = FileDescriptor.standardOutput.terminalWidth - 1
        let lines = reports.flatMap {
            StatusText.render($0, now: WallClock.now.seconds).split(separator: "\n")
        }
        let up = drawn > 0 ? "\u{1b}[\(drawn)A" : ""
        Console.print(
            up + lines.map { $0.prefix(width) + "\u{1b}[K\n" }.joined() + "\u{1b}[J", newline: false
        )
        drawn = lines.count
    }

    private mutating func log(_ reports: [StatusReport]) {
        for report in reports {
            for job in report.jobs {
                let inSync = StatusText.isInSync(job)
                let step =
                    "\(job.phase.rawValue) \(job.paused) \(job.error ?? "") \(inSync) "
                    + "\(StatusText.percent(job) / 10)"
                let key = report.mountpoint + "/" + job.id
                if said.updateValue(step, forKey: key) == step { continue }
                Console.print(StatusText.line(job))
                for line in StatusText.advice(job, mountpoint: report.mountpoint) {
                    Console.print(line)
                }
            }
        }
    }
}
