import ArgumentParser
import MirrorCore
import MirrorSystem
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

    /// Reads to the end, waits until there is more, reads on with the same handle.
    private func followEvents(_ mount: Mounted) throws {
        let path = mount.file("events")
        let events = try TimeLimit.run(mount.shown) {
            try FileDescriptor.openBacking(path, .readOnly)
        }
        defer { try? events.close() }
        while true {
            Console.print(try events.rest())
            while try !events.waitReadable(milliseconds: 60_000) {}
        }
    }
}
