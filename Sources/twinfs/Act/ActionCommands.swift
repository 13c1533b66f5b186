import ArgumentParser
import MirrorCore

struct MirrorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror",
        abstract: "Start mirroring an image to a target.",
        discussion: """
            Example: twinfs mirror /srv/images/vm1.img target=/backup/ speed=100M

            A target that ends in / is a directory and gets a file of the image's name.
            Parameters: \(ParameterKey.allCases.map(\.rawValue).joined(separator: ", ")).
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

            Can be changed: speed, max-pause, on-source-error, on-target-error.
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
        abstract: "End a ready job with a twin that equals the source at one instant.",
        discussion: """
            Example: twinfs complete /srv/images/vm1.img switch=off

            The guest stays on the source. Switch-over to the twin is not built yet.
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .complete, arguments: arguments).run() }
}

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Compare source and twin while the guest runs (not built yet: the mount refuses).",
        discussion: """
            Example: twinfs verify /srv/images/vm1.img
            """)

    @OptionGroup var arguments: ActionArguments

    func run() throws { try Action(verb: .verify, arguments: arguments).run() }
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
