import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Print the events of mounts, a line of JSON each.",
        discussion: """
            Example: twinfs events --follow /srv/images

            The mount keeps the last events only; sequence numbers show what is missing. A path of an \
            image means its mount.
            """)

    @Flag(name: .shortAndLong, help: "Go on printing events as they happen, until Ctrl-C.")
    var follow = false

    @Flag(help: "Accepted for symmetry: events are JSON always.")
    var json = false

    @OptionGroup var arguments: LookArguments

    func run() throws {
        let mounts = try Mounted.find(arguments.paths)
        guard follow else {
            for mount in mounts {
                let path = mount.file("events")
                Console.print(
                    try TimeLimit.run(mount.shown) { try Mounted.read(path) })
            }
            return
        }
        guard mounts.count == 1 else {
            throw Failure(.badCommand, "--follow takes one mount; \(mounts.count) are meant")
        }
        try followEvents(mounts[0])
    }

    /// Follows with one handle for as long as that gives every event; where the mount has dropped
    /// some before they were read, says so and goes on with those that it kept.
    private func followEvents(_ mount: Mounted) throws {
        while true {
            do throws(Errno) { try printEvents(mount.file("events")) } catch {
                if (try? mount.report()) == nil {
                    throw Failure(.failure, "\(mount.shown): \(error)")
                }
                Console.complain(
                    "\(mount.shown): events were dropped unread; see the sequence numbers")
            }
        }
    }

    /// Reads to the end, waits until there is more, reads on with the same handle.
    private func printEvents(_ path: FilePath) throws(Errno) {
        let events = try FileDescriptor.openBacking(path, .readOnly)
        defer { try? events.close() }
        while true {
            Console.print(try events.rest())
            while try !events.waitReadable(milliseconds: 60_000) {}
        }
    }
}
