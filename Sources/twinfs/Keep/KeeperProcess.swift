import Logging
import MirrorCore
import MirrorEngine
import MirrorFuse
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// The process that holds a mount: its descriptors and memory, under names. It starts the worker
/// that serves it, and another one whenever that dies, for as long as there is a mount.
///
/// It does as little as possible, so that it outlives everything else: one thread, no I/O on
/// images, nothing read from outside but the worker's messages, no descriptor and no working
/// directory inside the mount (a holder that waits for its own worker could not be killed).
///
/// | file | has |
/// |---|---|
/// | `KeeperProcess.swift` | what is held, the loop, how it begins |
/// | `KeeperProcess+Worker.swift` | the worker's start, messages and death |
/// | `RunningWorker.swift` | one worker, as its keeper sees it |
/// | `ServiceReports.swift` | what systemd is told |
///
/// Not `Sendable`: everything happens on one thread.
final class KeeperProcess {
    let mount: ServedMount
    let log: Logger
    /// Where the program that started this one waits for the mount to become usable.
    let ready: ReadyPipe?
    let signals: FileDescriptor

    var held: [String: FileDescriptor] = [:]
    var memory: KeeperMemory
    var worker: RunningWorker?
    var life = WorkerLife()
    /// Whether any worker of this keeper, or the one that it has adopted, has served the mount.
    var wasReady = false
    /// Asked to end: each worker is told once it serves.
    var isEnding = false
    /// When the next worker is to be started, on `SteadyClock`; nil while one lives.
    var nextStart: Int?
    /// Deaths before `ready` of workers that were started from the program's own path.
    var failedUpgrades = 0
    /// How it all ended.
    var outcome: Result<Void, Failure>?
    var service: ServiceReports

    /// - Parameter log: the file that the log goes to, where another process has opened it.
    convenience init(_ mount: ServedMount, log: FileDescriptor?, ready: ReadyPipe?) throws {
        let logger = try DaemonLog.begin(mount, kept: log)
        try self.init(mount, logger, ready)
    }

    init(_ mount: ServedMount, _ log: Logger, _ ready: ReadyPipe?) throws {
        (self.mount, self.log, self.ready) = (mount, log, ready)
        DaemonProcess.leaveDirectory()
        // A worker that crashes must not keep guests waiting for seconds while its stack is
        // printed.
        if !mount.request.isDebugging { Environment.preset("SWIFT_BACKTRACE", "enable=no") }
        // Without privileges the kernel keeps its own ideas; the worker says so in the log.
        try? DaemonProcess.raiseDescriptorLimit()
        try? DaemonProcess.becomeIOFlusher()
        try? DaemonProcess.setOOMScore(-1000)
        signals = try WorkerProcess.signals.descriptor()
        memory = try KeeperMemory(mount.words)
        service = ServiceReports()
        life.keeper = Int32(ThisProcess.id)
    }

    /// Holds a descriptor, which is used up, instead of an earlier one of that name.
    func hold(_ file: FileDescriptor, as name: String) {
        let old = held.updateValue(file, forKey: name)
        service.holds(file, name, replaces: old != nil)
        try? old?.close()
    }

    func release(_ name: String) {
        guard let file = held.removeValue(forKey: name) else { return }
        service.released(name)
        try? file.close()
    }

    /// Mounts, and holds what the first worker needs.
    func mount(_ directory: FileDescriptor, log: FileDescriptor?) throws {
        do throws(MountError) {
            let device = try Mounting.mount(
                at: mount.mountpoint, source: mount.source, options: mount.mountOptions)
            hold(device, as: "fuse")
        } catch {
            throw Failure(.mountFailed, "\(NameText.shown(mount.mountpoint.bytes)): \(error)")
        }
        hold(directory, as: "source")
        hold(memory.descriptor, as: KeeperMemory.name)
        if let log, let copy = try? log.duplicated() { hold(copy, as: "log") }
        nextStart = SteadyClock.milliseconds
    }

    /// Takes over from a service manager that kept the descriptors while keeper and worker were
    /// dead.
    func resume(_ stored: [String: FileDescriptor]) {
        held = stored
        // Whoever starts the service again does not mean the end that it was asked for before.
        adoptMemory(isEnding: false)
        life.predecessors = memory.predecessors + 1
        life.lastEnd = "was ended together with its keeper"
        wasReady = true
        log.notice("taking the mount over from the service manager")
        nextStart = SteadyClock.milliseconds
    }

    /// Goes on with an earlier keeper's memory: it is already where it is to be found.
    func adoptMemory(isEnding: Bool?) {
        guard let file = held[KeeperMemory.name] else {
            return hold(memory.descriptor, as: KeeperMemory.name)
        }
        memory = KeeperMemory(adopting: file)
        if let isEnding { memory.isEnding = isEnding }
        self.isEnding = memory.isEnding
    }

    /// Serves as keeper until the mount is gone.
    func run() throws {
        while outcome == nil {
            startIfDue()
            let woken = Polling.wait(wanted, milliseconds: patience)
            if woken[0].readable { obeySignals() }
            if let worker, woken.count > 2 {
                worker.flush()
                // Its last messages before its death.
                while let message = worker.nextMessage() { handle(message.0, message.1) }
                if woken[2].readable { workerEnded(worker) }
            }
            worker?.endIfLate()
            service.tick(worker)
        }
        service.ends(held.keys)
        try outcome?.get()
    }

    private var wanted: [(descriptor: FileDescriptor, writing: Bool)] {
        var wanted = [(signals, false)]
        if let worker {
            // A worker that has closed its end is waited for by its handle alone.
            wanted.append(
                (worker.isClosed ? signals : worker.socket.descriptor, worker.hasOutgoing))
            wanted.append((worker.process.descriptor, false))
        }
        return wanted
    }

    private var patience: Int? {
        let now = SteadyClock.milliseconds
        let times = [nextStart, service.nextTime, worker?.deadline].compactMap(\.self).map {
            max(0, $0 - now)
        }
        return times.min()
    }

    private func obeySignals() {
        while let signal = SignalSet.next(from: signals) {
            if signal == .hangUp { continue }
            if !isEnding { log.notice("keeper: asked to end (\(signal))") }
            isEnding = true
            memory.isEnding = true
            service.isStopping()
            if let worker, worker.isReady { worker.process.send(.terminate) }
        }
    }
}

/// What a keeper has to remember beyond its own death, in memory that the worker and a service
/// manager hold: how many workers there were, whether the mount was asked to end, and the words
/// that it is served with.
struct KeeperMemory {
    static let name = "keeper"
    private static let textStart = 16
    let descriptor: FileDescriptor

    init(_ words: [[UInt8]]) throws(Errno) {
        let memory = try SharedMemory(count: 4096)
        descriptor = try memory.descriptor.duplicated()
        let text = Array(words.joined(separator: [0]))
        try descriptor.setSize(UInt64(Self.textStart + text.count))
        _ = try? descriptor.writeAll(toAbsoluteOffset: Int64(Self.textStart), text)
    }

    init(adopting descriptor: FileDescriptor) { self.descriptor = descriptor }

    var predecessors: Int {
        get { Int(clamping: number(at: 0)) }
        nonmutating set { set(UInt64(newValue), at: 0) }
    }

    var isEnding: Bool {
        get { number(at: 8) != 0 }
        nonmutating set { set(newValue ? 1 : 0, at: 8) }
    }

    private func set(_ value: UInt64, at offset: UInt64) {
        var number = value.littleEndian
        withUnsafeBytes(of: &number) { _ = try? descriptor.writeSome($0, at: offset) }
    }

    private func number(at offset: UInt64) -> UInt64 {
        var number = UInt64(0)
        let count = withUnsafeMutableBytes(of: &number) {
            (try? descriptor.readSome(into: $0, at: offset)) ?? 0
        }
        return count == 8 ? UInt64(littleEndian: number) : 0
    }

    static func words(in file: FileDescriptor) -> [[UInt8]] {
        guard let size = try? file.status().size, size > textStart else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(size) - textStart)
        _ = bytes.withUnsafeMutableBytes { try? file.readSome(into: $0, at: UInt64(textStart)) }
        return bytes.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
    }
}
