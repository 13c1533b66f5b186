import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorState
import MirrorSystem
import SystemPackage

struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount",
        abstract: "Mount a directory of images; returns when the mount is usable.",
        usage: "twinfs SOURCE [MOUNTPOINT] [-o opt,…] [-f]",
        discussion: """
            Example: sudo twinfs /srv/images -o target=/backup,auto=on,allow_other

            Without MOUNTPOINT the mount lies over SOURCE itself.

            Options of -o:
              target=DIRECTORY         mirror every image there
              include=GLOB             only images whose path matches (several allowed)
              exclude=GLOB             no images whose path matches (several allowed)
              auto=on|off              also images created later; off
              allow_other              other users may use the mount
              ro                       read-only
              control_group=GROUP      may give commands beside the owner
              log=FILE                 log there instead of to the system's log
              debug                    log more
              statedir=DIRECTORY       keep there what must outlive the daemon
              and mount(8)'s own, and as defaults for target= the parameters of a job:
              \(ParameterKey.all)
              What each means: twinfs help parameters
            """)

    @Argument(help: "Directory that holds the images.")
    var source: RawArgument

    @Argument(help: "Where to show it; SOURCE itself where missing.")
    var mountpoint: RawArgument?

    @Option(
        name: .customShort("o", allowingJoined: true), help: "Options, with commas between them.")
    var options: [RawArgument] = []

    @Flag(name: .customShort("f"), help: "Stay in the foreground and log to standard error.")
    var foreground = false

    @Option(
        name: .customLong("ready-descriptor"),
        help: ArgumentHelp("Where a daemon says that it is ready.", visibility: .private))
    var readyDescriptor: Int32?

    func run() throws {
        try resumeFromStore()
        guard let readyDescriptor else { return foreground ? try keep(nil) : try startDaemon() }
        let end = FileDescriptor(rawValue: readyDescriptor)
        try? end.closeOnExec()
        let ready = ReadyPipe(end: end)
        do { try keep(ready) } catch let failure as Failure {
            ready.say(failure)
            throw failure
        }
    }

    /// Mounts, and keeps the mount in this process until it is unmounted.
    private func keep(_ ready: ReadyPipe?) throws {
        // Before the first thread: every one must leave these signals to the one that waits for
        // them.
        WorkerProcess.signals.block()
        let plan = try MountPlan(source: source, mountpoint: mountpoint, options: options)
        let mount = ServedMount(plan, options: options, foreground: ready == nil)
        let sink = try DaemonLog.Sink.choose(
            foreground: ready == nil, file: plan.request.log.map { FilePath(bytes: $0) })
        let log = DaemonLog.begin(sink, mount)
        if ready != nil { try DaemonProcess.detach(keepsErrors: sink.usesStandardError) }
        let keeper = try KeeperProcess(mount, log, ready)
        try keeper.mount(plan.directory, log: sink.file)
        try keeper.run()
    }

    /// Goes on with the mount whose descriptors the service manager has kept, if that is why it has
    /// started this program. No path is looked at: nobody serves the mount now.
    private func resumeFromStore() throws {
        let stored = ServiceManager.stored()
        guard let device = stored["fuse"], stored["source"] != nil,
            let memory = stored[KeeperMemory.name], !Polling.isBroken(device)
        else {
            // Left from a mount that is gone.
            for file in stored.values { try? file.close() }
            var manager = ServiceManager()
            for name in stored.keys { manager?.say("FDSTOREREMOVE=1\nFDNAME=\(name)") }
            return
        }
        for file in stored.values { try? file.keepOnExec() }
        let words = ["twinfs", "mount-keeper", "--stored"].map { Array($0.utf8) }
        DaemonProcess.become(OwnProgram.path, words + KeeperMemory.words(in: memory))
        throw Failure(.daemonDied, "cannot go on with the mount that the service manager has kept")
    }

    /// Checks everything here, where the user sees it, then starts this program anew as the daemon.
    private func startDaemon() throws {
        let plan = try MountPlan(source: source, mountpoint: mountpoint, options: options)
        // The daemon takes the lock that the check took here.
        try plan.directory.close()
        let options = options.flatMap { [Array("-o".utf8), $0.bytes] }
        try ReadyPipe.startDaemon(
            options + [Array("--".utf8), plan.source.bytes, plan.mountpoint.bytes])
    }
}
