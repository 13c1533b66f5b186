import ArgumentParser
import MirrorCore
import MirrorEngine
import MirrorSystem
import MirrorTarget
import SystemPackage

struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Unmount, and wait until the daemon has saved its work.",
        discussion: """
            Example: sudo twinfs unmount /srv/images

            While processes hold files in the mount it stays, they are named, and the exit code is \
            \(ExitReason.stillOpen.rawValue). With --wait it waits until they are gone; with --timeout for so \
            many seconds, and then ends with \(ExitReason.timedOut.rawValue).
            """)

    @Argument(help: "Where the mount lies.")
    var mountpoint: RawArgument

    @Flag(help: "Wait until no process uses the mount.")
    var wait = false

    @Option(help: "Seconds to wait at most.")
    var timeout: Double?

    func run() throws {
        let table = try Mounted.table()
        let mount = try Mounted.find(mountpoint, table)
        guard mount.names.isEmpty, let entry = table.top(at: mount.mountpoint.bytes) else {
            throw Failure(
                .notMounted, "\(NameText.shown(mountpoint.bytes)): is no mountpoint of twinfs")
        }
        let source = FilePath(bytes: entry.source)
        if wait || timeout != nil { return try waitUntilUnused(mount, source) }
        try Self.unmount(mount, source: source)
    }

    /// Unmounts as soon as nobody uses the mount, and says once who does.
    private func waitUntilUnused(_ mount: Mounted, _ source: FilePath) throws {
        let end = timeout.map { SteadyClock.milliseconds + Int(min(max(0, $0), 1e9) * 1000) }
        var said = ""
        while true {
            do { return try Self.unmount(mount, source: source) } catch let failure as Failure
                where failure.reason == .stillOpen
            {
                if failure.message != said { Console.complain(failure.message) }
                said = failure.message
                if let end, SteadyClock.milliseconds >= end {
                    throw Failure(.timedOut, "\(mount.shown): is still in use")
                }
            }
            SteadyClock.sleep(milliseconds: 200)
        }
    }

    /// Detaches the mount and waits for its daemon's end.
    static func unmount(_ mount: Mounted, source: FilePath) throws {
        do throws(Errno) { try Unmounting.unmount(mount.mountpoint) } catch {
            switch error {
            case .resourceBusy: throw Failure(.stillOpen, busy(mount))
            case .notPermitted: throw Failure(.notPermitted, "\(mount.shown): \(error); try sudo")
            default: throw Failure(.failure, "\(mount.shown): \(error)")
            }
        }
        try waitForDaemon(source, mount)
    }

    private static func busy(_ mount: Mounted) -> String {
        // Where the mount lies over its source, the daemon's own descriptors look the same.
        let report = try? mount.report()
        let daemon = [report?.keeperPID, report?.workerPID].compactMap { $0.map { Int32($0) } }
        let lines = MountHolders.text(below: mount.mountpoint, except: daemon).map { "\n  " + $0 }
        if lines.isEmpty {
            return "\(mount.shown): is in use, by a process that cannot be seen from here"
        }
        return "\(mount.shown): is in use; end these first:" + lines.joined()
    }

    /// The daemon holds the source's lock until its work is saved and it ends.
    private static func waitForDaemon(_ source: FilePath, _ mount: Mounted) throws {
        let end = SteadyClock.milliseconds + 60_000
        while SteadyClock.milliseconds < end {
            guard let directory = try? FileDescriptor.openBacking(source, .readOnly, [.directory])
            else {
                return
            }
            defer { try? directory.close() }
            do throws(Errno) { return try directory.lockDirectory() } catch {
                if error != .resourceTemporarilyUnavailable { return }
            }
            SteadyClock.sleep(milliseconds: 50)
        }
        throw Failure(
            .noAnswer, "\(mount.shown): is unmounted, but its daemon has not ended within 60 s")
    }
}
