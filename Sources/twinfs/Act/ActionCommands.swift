import ArgumentParser
import MirrorCore

struct MirrorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror",
        abstract: "Start mirroring an image, or several as a group, to a target.",
        discussion: """
            Example: twinfs mirror /srv/images/vm1.img target=/backup/ speed=100M

            A target that ends in / is a directory and gets a file of the image's name. Several images are one \
            job that is cut at one instant; they lie in one mount, and their target is a directory.
            Parameters: \(ParameterKey.all).
            What each means: twinfs help parameters
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .mirror, arguments: arguments).runTogether() }
}

struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Stop copying; changes go on being tracked.",
        discussion: """
            Example: twinfs pause /srv/images/vm1.img
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .pause, arguments: arguments).run() }
}

struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Go on copying, and forget the error that stopped the job.",
        discussion: """
            Example: twinfs resume /srv/images/vm1.img
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .resume, arguments: arguments).run() }
}

struct SetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change parameters of a running job.",
        discussion: """
            Example: twinfs set /srv/images/vm1.img speed=50M

            Can be changed: \(ParameterChange.keys.map(\.rawValue).joined(separator: ", ")).
            What each means: twinfs help parameters
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .set, arguments: arguments).run() }
}

struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "End a job: a ready one once source and twin agree, with force=on at once.",
        discussion: """
            Example: twinfs cancel /srv/images/vm1.img force=on
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .cancel, arguments: arguments).run() }
}

struct CompleteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "complete",
        abstract:
            "Switch the guest of a ready job over to the twin; with switch=off only cut the twin.",
        discussion: """
            Example: twinfs complete /srv/images/vm1.img

            The guest goes on on the twin without noticing; the old source is kept. With switch=off it stays \
            on the source, and the twin equals this at one instant.
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .complete, arguments: arguments).run() }
}

struct DismissCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dismiss",
        abstract: "Forget a job that has ended.",
        discussion: """
            Example: twinfs dismiss /srv/images/vm1.img
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .dismiss, arguments: arguments).run() }
}
