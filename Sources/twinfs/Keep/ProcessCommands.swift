import ArgumentParser
import MirrorCore
import MirrorState
import MirrorSystem
import SystemPackage

/// The process that serves a mount; started by its keeper.
struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount-worker", abstract: "Serve a mount.", shouldDisplay: false)

    @Option(help: "The worker's end of the socket to its keeper.")
    var socket: Int32

    @OptionGroup var mount: ServedMountArguments

    func run() throws {
        // Before the first thread: every one must leave these signals to the one that waits for
        // them.
        WorkerProcess.signals.block()
        DaemonProcess.setName("twinfs")
        DaemonProcess.leaveDirectory()
        let socket = FileDescriptor(rawValue: socket)
        try? socket.closeOnExec()
        guard let keeper = try? ProcessKeeper(PacketSocket(socket)) else {
            throw Failure(.daemonDied, "the keeper ended before it had handed the mount over")
        }
        do { try WorkerProcess(mount.mount(), keeper).run() } catch let failure as Failure {
            keeper.say(.failed(code: failure.reason.rawValue, failure.message))
            throw failure
        }
    }
}

/// A keeper that does not mount: it takes over what another process has held.
struct KeeperCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount-keeper", abstract: "Keep a mount.", shouldDisplay: false)

    @Option(help: "A socket to the worker that has lost its keeper.")
    var adopt: Int32?

    @Flag(help: "Take over what the service manager has stored.")
    var stored = false

    @OptionGroup var mount: ServedMountArguments

    func run() throws {
        WorkerProcess.signals.block()
        DaemonProcess.setName("twinfs")
        let stored = stored ? ServiceManager.stored() : [:]
        let mount = try mount.mount()
        // A worker passes the log on as standard error: its path may lead into the mount.
        let log = adopt != nil && mount.request.log != nil ? .standardError : stored["log"]
        let process = try KeeperProcess(mount, log: log, ready: nil)
        if let adopt {
            let socket = FileDescriptor(rawValue: adopt)
            try? socket.closeOnExec()
            try process.adopt(PacketSocket(socket))
        } else {
            process.resume(stored)
        }
        try process.run()
    }
}
