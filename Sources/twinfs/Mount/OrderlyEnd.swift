import Dispatch
import Logging
import MirrorCore
import MirrorEngine
import MirrorFuse
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// The orderly end of a mount that was asked to end: as soon as nobody uses it, and not before.
/// Until then a guest keeps its disk, and log and status say who that is.
struct OrderlyEnd {
    private let mount: ServedMount
    private let server: MountServer
    private let engine: Engine
    private let keeper: ProcessKeeper
    private let log: Logger

    init(
        _ mount: ServedMount, _ server: MountServer, _ engine: Engine, _ keeper: ProcessKeeper,
        _ log: Logger
    ) {
        (self.mount, self.server, self.engine) = (mount, server, engine)
        (self.keeper, self.log) = (keeper, log)
    }

    /// Waits for signals on a thread of its own, for as long as the process lives. A second one
    /// that asks for the end changes nothing.
    func obeySignals() {
        DispatchQueue(label: "twinfs.signals").async {
            while true {
                let signal = WorkerProcess.signals.wait()
                if signal == .hangUp { continue }
                log.notice("asked to end (\(signal))")
                end()
            }
        }
    }

    private func end() {
        var said = ""
        while true {
            let images = server.openImages
            if images.isEmpty, (try? server.unmount()) != nil { return }
            let reason = reason(images)
            if reason != said {
                log.warning("still serving: \(reason); ends when that is over")
                engine.warn(of: "end", "asked to end, which waits: \(reason)")
            }
            said = reason
            SteadyClock.sleep(milliseconds: 500)
        }
    }

    private func reason(_ images: [(path: FilePath, handles: Int)]) -> String {
        let holders = MountHolders.text(
            below: mount.mountpoint,
            except: [Int32(ThisProcess.id)] + [keeper.process].compactMap(\.self))
        if !holders.isEmpty { return holders.joined(separator: ", ") }
        if images.isEmpty { return "a process has a file or its directory in the mount" }
        return images.map { "\(NameText.shown($0.path.bytes)) is open \($0.handles) times" }
            .joined(separator: ", ")
    }
}

/// Who uses a mount, in words.
enum MountHolders {
    /// `qemu-system-x86 (process 811): /srv/images/vm1.img`; never touches the mount itself.
    static func text(below mountpoint: FilePath, except: [Int32]) -> [String] {
        let others = ((try? Mounted.table())?.entries ?? []).filter { !$0.isTwinfs }
        return FileHolder.holders(below: mountpoint, except: Set(others.map(\.id)))
            .filter { !except.contains($0.process) }
            .sorted { ($0.process, $0.path.string) < ($1.process, $1.path.string) }
            .map { holder in
                "\(NameText.shown(holder.name)) (process \(holder.process)): "
                    + NameText.shown(holder.path.bytes)
            }
    }
}
