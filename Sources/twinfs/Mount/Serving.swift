import Dispatch
import Logging
import MirrorCore
import MirrorEngine
import MirrorFuse
import MirrorNBD
import MirrorSystem
import SystemPackage

/// The life of a mount in the process that serves it.
struct Serving {
    /// Those that ask the daemon to end, and one that must not end it.
    static let signals = SignalSet([.terminate, .interrupt, .hangUp])

    private let plan: MountPlan
    private let ready: ReadyPipe?
    private let log: Logger

    /// - Parameter ready: nil in the foreground.
    init(_ plan: MountPlan, ready: ReadyPipe?) throws {
        self.plan = plan
        self.ready = ready
        let sink = try DaemonLog.Sink.choose(
            foreground: ready == nil, file: plan.request.log.map { FilePath(bytes: $0) })
        var handler = DaemonLog(sink)
        handler.logLevel = plan.request.isDebugging ? .debug : .info
        let chosen = handler
        LoggingSystem.bootstrap { _ in chosen }
        log = Logger(label: "twinfs")
        if ready != nil { try DaemonProcess.detach(keepsErrors: sink.usesStandardError) }
    }

    /// Mounts, serves until the mount is gone, and leaves everything saved.
    func run() throws {
        protectProcess()
        let keeper = LocalKeeper()
        let engine = Engine(
            configuration: configuration, source: plan.directory, log: log, keeper: keeper,
            opener: NBDStore.open)
        let server = try mount(engine, keeper)
        Self.obeySignals(server, log)
        engine.mounted()
        log.info("serving \(plan.source) at \(plan.mountpoint)")
        ready?.sayReady()
        server.wait()
        engine.shutDown()
        log.info("unmounted \(plan.mountpoint)")
    }

    private func mount(_ engine: Engine, _ keeper: LocalKeeper) throws -> MountServer {
        var options = MountOptions()
        options.allowOther = plan.request.allowOther
        options.readOnly = plan.request.isReadOnly
        options.kernelOptions = plan.request.kernelFlags
        do throws(MountError) {
            let device = try Mounting.mount(
                at: plan.mountpoint, source: plan.source, options: options)
            let server = try MountServer(
                engine: engine, source: plan.directory, device: device, keeper: keeper,
                mountpoint: plan.mountpoint)
            try server.serve()
            return server
        } catch {
            throw Failure(.mountFailed, "\(NameText.shown(plan.mountpoint.bytes)): \(error)")
        }
    }

    private var configuration: MountConfiguration {
        var configuration = MountConfiguration(source: plan.source, mountpoint: plan.mountpoint)
        configuration.target = plan.target
        configuration.include = plan.request.include
        configuration.exclude = plan.request.exclude
        configuration.auto = plan.request.auto
        configuration.controlGroup = plan.controlGroup
        configuration.stateDirectory = plan.stateDirectory
        configuration.defaults = plan.request.parameters
        return configuration
    }

    /// The daemon is in the way of guests' writes: the kernel must not wait for it, nor kill it first.
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

extension Serving {
    /// Waits for signals on a thread of its own, for as long as the process lives.
    private static func obeySignals(_ server: MountServer, _ log: Logger) {
        DispatchQueue(label: "twinfs.signals").async {
            while true {
                let signal = signals.wait()
                if signal == .hangUp { continue }
                log.notice("asked to end (\(signal))")
                end(server, log)
            }
        }
    }

    /// Unmounts as soon as nobody uses the mount; until then a guest keeps its disk.
    private static func end(_ server: MountServer, _ log: Logger) {
        var said = ""
        while true {
            let use = use(of: server)
            if use.isEmpty, (try? server.unmount()) != nil { return }
            let reason = use.isEmpty ? "a process has a file or its directory in the mount" : use
            if reason != said { log.warning("still serving: \(reason); ends when that is over") }
            said = reason
            SteadyClock.sleep(milliseconds: 500)
        }
    }

    /// The open images in words; empty where none is.
    private static func use(of server: MountServer) -> String {
        server.openImages
            .map { "\(NameText.shown($0.path.bytes)) is open \($0.handles) times" }
            .joined(separator: ", ")
    }
}
