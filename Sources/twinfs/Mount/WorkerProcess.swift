import Dispatch
import Logging
import MirrorCore
import MirrorEngine
import MirrorFuse
import MirrorNBD
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// The life of a worker: the process that serves a mount which another one keeps.
struct WorkerProcess {
    /// Those that ask the daemon to end, and one that must not end it.
    static let signals = SignalSet([.terminate, .interrupt, .hangUp])

    let mount: ServedMount
    let keeper: ProcessKeeper
    let log: Logger

    init(_ mount: ServedMount, _ keeper: ProcessKeeper) throws {
        (self.mount, self.keeper) = (mount, keeper)
        log = try DaemonLog.begin(mount, kept: keeper.inherited("log"))
    }

    /// Serves until the mount is gone, and leaves everything saved; or until it is asked to make
    /// room for a successor.
    func run() throws {
        protectProcess()
        guard let source = keeper.inherited("source"), let device = keeper.inherited("fuse") else {
            throw Failure(.daemonDied, "the keeper has not given the mount's descriptors")
        }
        let engine = Engine(
            configuration: configuration, source: source, log: log, keeper: keeper,
            opener: NBDStore.open)
        // Before anybody can look: the new generation and what it tells belong together.
        tellOfPredecessor(engine)
        let server = try serve(engine, source, device)
        listen(engine)
        OrderlyEnd(mount, server, engine, keeper, log).obeySignals()
        restartOnCommand(engine, server)
        engine.mounted()
        log.info("serving \(mount.source) at \(mount.mountpoint)")
        keeper.say(.ready)
        end(engine, server.wait())
    }

    private var configuration: MountConfiguration {
        var configuration = mount.configuration
        // For tests that show what the write-intent log is good for.
        guard Environment["TWINFS_UNSAFE_NO_INTENT"] == "1" else { return configuration }
        log.error(
            "TWINFS_UNSAFE_NO_INTENT is set: after a power cut source and twin differ, and nobody will know"
        )
        configuration.ignoresIntents = true
        return configuration
    }

    private func serve(
        _ engine: Engine, _ source: FileDescriptor, _ device: FileDescriptor
    ) throws -> MountServer {
        do throws(MountError) {
            let server = try MountServer(
                engine: engine, source: source, device: device, keeper: keeper,
                mountpoint: mount.mountpoint)
            try server.serve()
            return server
        } catch {
            throw Failure(.mountFailed, "\(NameText.shown(mount.mountpoint.bytes)): \(error)")
        }
    }

    private func end(_ engine: Engine, _ end: MountServer.End) {
        switch end {
        case .unmounted:
            engine.shutDown()
            log.info("unmounted \(mount.mountpoint)")
            keeper.say(.goodbye(.unmounted))
        case .drained:
            // The successor finds everything else as after a death. Guests wait for it: nothing
            // here may wait.
            log.info("making room for a successor")
            keeper.say(.goodbye(.restart))
        }
    }

    /// The daemon is in the way of guests' writes: the kernel must not wait for it, nor kill it
    /// first.
    private func protectProcess() {
        attempt("raise the limit of open files") { () throws(Errno) in
            try DaemonProcess.raiseDescriptorLimit()
        }
        attempt("become an I/O flusher (memory pressure may stall guests)") { () throws(Errno) in
            try DaemonProcess.becomeIOFlusher()
        }
        attempt("lower the OOM score") { () throws(Errno) in try DaemonProcess.setOOMScore(-900) }
    }

    private func attempt(_ what: String, _ body: () throws(Errno) -> Void) {
        do throws(Errno) { try body() } catch { log.warning("cannot \(what): \(error)") }
    }
}

extension WorkerProcess {
    /// Answers `restart` in `.mirror/control`; the command has its reply before the requests are
    /// drained.
    private func restartOnCommand(_ engine: Engine, _ server: MountServer) {
        guard server.repeatsRequests else { return refuseRestart(engine) }
        let (log, state) = (log, mount.stateDirectory)
        // One after the other.
        let queue = DispatchQueue(label: "twinfs.restart")
        engine.setRestart {
            queue.async {
                log.notice("asked to restart")
                guard Self.hasSaved(engine, in: state, within: .seconds(5)) else {
                    log.error("not restarted: the state directory does not answer")
                    return engine.warn(
                        of: "restart", "not restarted: the state directory does not answer")
                }
                engine.warn(of: "restart", nil)
                server.drain()
            }
        }
    }

    private func refuseRestart(_ engine: Engine) {
        engine.refuseRestart(
            "this kernel does not send requests again, those under way would hang; Linux 6.9 does")
        engine.warn(
            of: "kernel",
            "this kernel does not send requests again (Linux 6.9 does): if the daemon's worker dies, callers that"
                + " wait for an answer then wait for ever")
    }

    /// Whether everything was saved in time, and the state directory answers, also where nothing
    /// was left to save. While guests are served: a successor would hang with the directory, and
    /// they with it.
    private static func hasSaved(
        _ engine: Engine, in state: FilePath?, within time: DispatchTimeInterval
    ) -> Bool {
        let saved = DispatchGroup()
        DispatchQueue(label: "twinfs.save").async(group: saved) {
            engine.finishSaving()
            guard let state,
                let directory = try? FileDescriptor.openBacking(state, .readOnly, .directory)
            else { return }
            try? directory.synchronize()
            try? directory.close()
        }
        return saved.wait(timeout: .now() + time) == .success
    }

    /// Says in the events, and for a while in the status, that this worker follows one that has
    /// died.
    private func tellOfPredecessor(_ engine: Engine) {
        let life = keeper.life
        guard life.predecessors > 0 else { return }
        engine.workerRestarted(reason: life.lastEnd)
        guard life.deathsInARow > 1 else { return }
        engine.warn(
            of: "restarts",
            "the worker has died \(life.deathsInARow) times soon after its start; the last one"
                + " \(life.lastEnd); see its log, and report this")
        let queue = DispatchQueue(label: "twinfs.restarts")
        queue.asyncAfter(deadline: .now() + .milliseconds(Backoff.soon)) {
            engine.warn(of: "restarts", nil)
        }
    }

    /// Answers the keeper, and starts another one when it dies.
    private func listen(_ engine: Engine) {
        let (keeper, mount, log) = (keeper, mount, log)
        let trouble = DispatchQueue(label: "twinfs.kept")
        keeper.tellOfTrouble { text in trouble.async { engine.warn(of: "kept", text) } }
        DispatchQueue(label: "twinfs.keeper").async {
            let loss = KeeperLoss(mount, keeper, log) { engine.warn(of: "keeper", $0) }
            keeper.listen(status: { engine.summary }, lost: { loss.replace() }) {
                loss.hasTakenOver()
                engine.keeperRestarted()
            }
        }
    }
}
