import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorSystem
import MirrorTarget

struct RestartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart",
        abstract: "Serve a mount with the program that is installed now; guests see a short delay.",
        discussion: """
            Example: sudo twinfs restart /srv/images

            The mount stays, with every open file and every job. The worker ends its requests and makes \
            room for a new one, which is the program at the path that the mount was started from. This is how \
            an upgrade is taken into use. A path inside the mount names it too.
            """)

    @Argument(help: "Where the mount lies, or a path inside it.")
    var path: RawArgument

    @Option(help: "Seconds to wait at most for the new worker.")
    var timeout: Double = 60

    func run() throws {
        var mount = try Mounted.find(path, Mounted.table())
        mount.names = []
        let old = try mount.report()
        let begin = Stopwatch.nanoseconds
        _ = try mount.execute("restart\n")
        let new = try successor(of: old, mount)
        let pause = (Stopwatch.nanoseconds - begin) / 1_000_000
        Console.print(
            "\(mount.shown): \(old.version) generation \(old.generation) -> \(new.version) generation"
                + " \(new.generation), requests waited for at most \(pause) ms")
    }

    /// What the next generation says, once it serves.
    private func successor(of old: StatusReport, _ mount: Mounted) throws -> StatusReport {
        let end = SteadyClock.milliseconds + Int(min(max(0, timeout), 1e9) * 1000)
        while SteadyClock.milliseconds < end {
            if let report = try? mount.report(), report.generation > old.generation {
                return report
            }
            SteadyClock.sleep(milliseconds: 5)
        }
        throw Failure(
            .timedOut,
            "\(mount.shown): no new worker serves the mount after \(timeout) s; see its log")
    }
}
