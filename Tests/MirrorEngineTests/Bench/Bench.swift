import Dispatch
import Foundation
import Logging
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A source and a target directory, an engine between them, and one image that a test writes as a
/// guest would: through the shim. Everything is gone when it is.
final class Bench: Sendable {
    let root: FilePath
    let source: FilePath
    let target: FilePath
    let state: FilePath
    let engine: Engine
    private let directory: FileDescriptor
    private let intentPeriod: Duration
    /// Engines beside the first.
    private let others = Mutex<[Engine]>([])

    /// - Parameters:
    ///   - keepsState: whether there is a state directory.
    ///   - opener: what targets that are URIs lead to.
    ///   - intentPeriod: `shortPeriod` where a test waits until logs are cleared.
    init(
        _ root: String? = nil, faults: FaultPlan? = nil, keepsState: Bool = true,
        opener: TwinStoreOpener? = nil, intentPeriod: Duration = IntentCare.period
    ) throws {
        self.intentPeriod = intentPeriod
        let base = root ?? NSTemporaryDirectory()
        let name = "twinfs-bench-\(ThisProcess.id)-\(UInt32.random(in: 0...UInt32.max))"
        self.root = FilePath(base).appending(name)
        source = self.root.appending("source")
        target = self.root.appending("target")
        for path in [self.root, source, target] { _ = try path.makeDirectory() }
        directory = try FileDescriptor.openBacking(source, .readOnly, .directory)
        state = self.root.appending("var").appending("state")
        engine = Self.engine(
            self.root, directory, faults, keepsState ? state : nil, opener, nil, intentPeriod)
    }

    /// A log is cleared after two or three periods in which nothing was written.
    static let shortPeriod = Duration.milliseconds(500)

    /// A second engine on the same directories: what the next mount finds.
    ///
    /// - Parameters:
    ///   - state: another state directory than the bench's.
    ///   - keeper: what a dead worker's successor is given; nil for a new mount.
    func remounted(
        state: FilePath? = nil, keeper: (any Keeper)? = nil, faults: FaultPlan? = nil,
        opener: TwinStoreOpener? = nil
    ) -> Engine {
        let engine = Self.engine(
            root, directory, faults, state ?? self.state, opener, keeper, intentPeriod)
        others.withLock { $0.append(engine) }
        return engine
    }

    private static func engine(
        _ root: FilePath, _ source: FileDescriptor, _ faults: FaultPlan?, _ state: FilePath?,
        _ opener: TwinStoreOpener?, _ keeper: (any Keeper)?, _ intentPeriod: Duration
    ) -> Engine {
        var configuration = MountConfiguration(
            source: root.appending("source"), mountpoint: root.appending("mount"))
        configuration.stateDirectory = state
        return Engine(
            configuration: configuration, source: source, log: log,
            targetFilter: faults, keeper: keeper ?? LocalKeeper(), opener: opener,
            intentPeriod: intentPeriod)
    }

    private static var log: Logger {
        var log = Logger(label: "bench")
        log.logLevel = .critical
        return log
    }

    /// Whether the tests run under the thread sanitizer, which takes ten times as long.
    static var isSanitized: Bool { dlsym(nil, "__tsan_init") != nil }

    /// How often a test repeats itself: a tenth as often under the sanitizer, which sees a race in
    /// few rounds.
    static func rounds(_ count: Int) -> Int { isSanitized ? max(1, count / 10) : count }

    /// The same for a test that tries every `count`th of something.
    static func every(_ count: Int) -> Int { isSanitized ? count * 10 + 1 : count }

    deinit {
        // A save that came later would make the directory anew.
        for engine in others.withLock({ $0 }) + [engine] {
            engine.serving.finishSaving()
            engine.records.finishSaving()
        }
        try? directory.close()
        try? FileManager.default.removeItem(atPath: root.string)
    }

    /// Makes a file of random bytes in the source directory, before anybody watches.
    func makeFile(_ name: String, bytes: Int) throws {
        // All at once: unoptimized, a call for each number takes seconds.
        var data = Data(count: bytes)
        if bytes > 0 { data.withUnsafeMutableBytes { arc4random_buf($0.baseAddress!, bytes) } }
        try data.write(to: URL(fileURLWithPath: source.appending(name).string))
    }

    /// The image as a guest has it open.
    func guest(_ name: String, in other: Engine? = nil) throws -> Guest {
        let path = source.appending(name)
        let descriptor = try FileDescriptor.openBacking(path, .readWrite)
        let image = (other ?? engine).images.image(
            try descriptor.status().identity, path: FilePath(name))
        return Guest(image: image, descriptor: descriptor)
    }

    /// Runs a command as `.mirror/control` does, and waits for its reply.
    @discardableResult
    func command(_ line: String, in other: Engine? = nil) -> CommandResult {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<CommandResult?>(nil)
        (other ?? engine).execute(Array(line.utf8)) { reply in
            result.withLock { $0 = reply }
            done.signal()
        }
        done.wait()
        return result.withLock { $0! }
    }

    func job(_ id: String) -> JobReport? { engine.job(id) }

    /// Waits until the job says so; false where it has not within a minute, which only a hang
    /// takes.
    func wait(_ id: String, until condition: (JobReport) -> Bool) -> Bool {
        engine.wait(id, until: condition)
    }

    func isEqual(_ name: String, _ twin: String? = nil) -> Bool {
        FileManager.default.contentsEqual(
            atPath: source.appending(name).string, andPath: target.appending(twin ?? name).string)
    }

    var events: [String] {
        String(decoding: engine.events.lines(after: 0).text, as: UTF8.self).split(separator: "\n")
            .map {
                String($0)
            }
    }
}

/// Somebody who writes an image through the shim.
struct Guest: Sendable {
    let image: Image
    let descriptor: FileDescriptor

    /// Does a change; waits where a cut holds it.
    func change(_ body: @escaping @Sendable () -> Image.Outcome) -> Image.Outcome {
        while true {
            let outcome = body()
            guard case .held = outcome else { return outcome }
            let lifted = DispatchSemaphore(value: 0)
            image.whenLifted { lifted.signal() }
            lifted.wait()
        }
    }

    /// Returns once a thread of the mount would be free: also an answer that came earlier does not
    /// end it.
    private func result(of forward: Forward, _ data: UnsafeRawBufferPointer) -> Image.Outcome {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Image.Outcome?>(nil)
        forward.then(data) { outcome in
            result.withLock { $0 = outcome }
            done.signal()
        }
        done.wait()
        return result.withLock { $0! }
    }

    @discardableResult
    func write(_ bytes: [UInt8], at offset: UInt64) -> Image.Outcome {
        change {
            bytes.withUnsafeBytes { data in
                let outcome = image.write(
                    data, at: offset, through: DataPath(buffered: descriptor))
                guard case .forwarded(let forward) = outcome else { return outcome }
                return result(of: forward, data)
            }
        }
    }

    /// A flush as the mount does it: returns when it is answered.
    func flush() throws(Errno) {
        try image.flush(dataOnly: false, through: descriptor)
        guard image.flushesTwins else { return }
        let done = DispatchSemaphore(value: 0)
        image.flushTwins { done.signal() }
        done.wait()
    }

    func truncate(to size: UInt64) { _ = change { image.truncate(to: size, through: descriptor) } }

    func allocate(_ mode: AllocationMode, at offset: UInt64, count: UInt64) {
        _ = change { image.allocate(mode, at: offset, count: count, through: descriptor) }
    }
}
