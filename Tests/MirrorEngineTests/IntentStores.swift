import Dispatch
import MirrorCore
import Synchronization
import SystemPackage

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A disk for a write-intent log that knows what a power cut would leave of it.
final class CuttableStore: IntentStore {
    private struct Disk {
        var live: [UInt8]
        var synced: [UInt8]
        var syncs = 0
        var isRemoved = false
        var error: Errno?
    }

    private let disk: Mutex<Disk>
    /// Closed, every sync waits.
    private let door = Mutex(true)
    /// Called in every sync, before its bytes are durable.
    private let pause: @Sendable () -> Void

    init(_ content: [UInt8], pause: @escaping @Sendable () -> Void = {}) {
        disk = Mutex(Disk(live: content, synced: content))
        self.pause = pause
    }

    var syncs: Int { disk.withLock { $0.syncs } }
    var isRemoved: Bool { disk.withLock { $0.isRemoved } }
    /// Every write and sync fails from here on.
    func fail(_ error: Errno) { disk.withLock { $0.error = error } }
    func open(_ isOpen: Bool) { door.withLock { $0 = isOpen } }

    /// After a power cut now: of each block what was synced last, or what was written since.
    func cut() -> [UInt8] {
        disk.withLock { disk in
            var left = disk.synced
            let block = IntentFormat.blockSize
            for start in stride(from: 0, to: disk.live.count, by: block) where Bool.random() {
                if start >= left.count { break }
                left.replaceSubrange(start..<start + block, with: disk.live[start..<start + block])
            }
            return left
        }
    }

    func content() -> [UInt8] { disk.withLock { $0.live } }

    func write(_ blocks: [UInt8], at offset: UInt64) throws(Errno) {
        let error = disk.withLock { disk -> Errno? in
            if let error = disk.error { return error }
            let end = Int(offset) + blocks.count
            let missing = max(0, end - disk.live.count)
            disk.live += [UInt8](repeating: 0, count: missing)
            disk.live.replaceSubrange(Int(offset)..<end, with: blocks)
            return nil
        }
        if let error { throw error }
    }

    func synchronize() throws(Errno) {
        let snapshot = content()
        pause()
        while !door.withLock({ $0 }) { DispatchSemaphore(value: 0).waitALittle() }
        let error = disk.withLock { disk -> Errno? in
            if let error = disk.error { return error }
            (disk.synced, disk.syncs) = (snapshot, disk.syncs + 1)
            return nil
        }
        if let error { throw error }
    }

    func close() {}
    func remove() { disk.withLock { $0.isRemoved = true } }
}

extension DispatchSemaphore {
    fileprivate func waitALittle() { _ = wait(timeout: .now() + .milliseconds(1)) }
}

extension IntentLog {
    static let extent = UInt64(1) << UInt64(IntentFormat.extentShift)

    /// A log on a disk of the test's.
    static func onDisk(
        isFull: Bool = false, blocks: Int = 1, patience: Duration = .seconds(60),
        pause: @escaping @Sendable () -> Void = {}
    ) -> (IntentLog, CuttableStore) {
        let content = firstContent("test-0", blocks: blocks, isFull: isFull)
        let store = CuttableStore(content, pause: pause)
        let log = IntentLog("test-0", store, blocks: blocks, patience: patience)
        if isFull { log.fill() }
        return (log, store)
    }

    /// What the next mount reads from such a disk.
    static func read(_ content: [UInt8], size: UInt64 = 1) -> IntentLog? {
        IntentLog(opened: "test-0", CuttableStore(content), size: size)
    }

    /// Requests and waits.
    func set(_ range: ByteRange) {
        let done = DispatchSemaphore(value: 0)
        request(range) { done.signal() }
        done.wait()
    }
}
