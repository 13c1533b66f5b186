import ArgumentParser
import MirrorCore

/// The program: `twinfs SOURCE …` mounts, every other first word is a command.
struct Twinfs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "twinfs",
        abstract:
            "Mount a directory of disk images and mirror each to a twin while its guest runs.",
        usage: """
            twinfs SOURCE [MOUNTPOINT] [-o opt,…] [-f]
            twinfs status|watch|events|wait [PATH…]
            twinfs mirror|pause|resume|set|cancel|complete|verify|dismiss PATH… [key=value…]
            twinfs checkpoint [--list|--delete] IMAGE [NAME]
            twinfs unmount MOUNTPOINT [--wait]
            twinfs restart PATH
            twinfs demo
            """,
        discussion: """
            Without MOUNTPOINT the mount lies over SOURCE itself: paths in configurations stay as they \
            are. A directory that is called like a command is mounted as ./status.

            Example:
              sudo twinfs /srv/images -o allow_other
              sudo twinfs mirror /srv/images/vm1.img target=/backup/
              twinfs watch /srv/images/vm1.img
              sudo twinfs complete /srv/images/vm1.img switch=off

            More help: twinfs help parameters, twinfs help exit-codes, twinfs help files.
            """,
        version: Version.text,
        subcommands: [
            MountCommand.self, StatusCommand.self, WatchCommand.self, EventsCommand.self,
            WaitCommand.self, MirrorCommand.self, PauseCommand.self, ResumeCommand.self,
            SetCommand.self, CancelCommand.self, CompleteCommand.self, VerifyCommand.self,
            DismissCommand.self, CheckpointCommand.self, UnmountCommand.self, RestartCommand.self,
            DemoCommand.self, WorkerCommand.self, KeeperCommand.self,
        ],
        defaultSubcommand: MountCommand.self)
}
