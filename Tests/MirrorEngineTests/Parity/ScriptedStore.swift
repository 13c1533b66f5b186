import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A target of fixed size, in memory, whose calls fail or hang when a test wants them to.
final class ScriptedStore: TwinStore {
    enum Call: Sendable { case write, zero, flush }

    private struct State {
        var bytes: [UInt8]
        var errors: [Call: (error: Errno, times: Int)] = [:]
        var hangs = false
        var waiting = 0
    }

    private let state: Mutex<State>
    /// How long each write and zero takes.
    let delay: Duration?
    let capacity: UInt64?
    let blockSize = 4096
    let local: FileDescriptor? = nil

    init(bytes: Int, delay: Duration? = nil) {
        capacity = UInt64(bytes)
        self.delay = delay
        state = Mutex(State(bytes: [UInt8](repeating: 0xEE, count: bytes)))
    }

    /// A bench whose `target=nbd://test/store` is this store.
    func bench() throws -> Bench { try Bench(opener: { _ in self }) }

    /// The next calls of a kind fail.
    func fail(_ call: Call, _ error: Errno, times: Int = 1) {
        state.withLock { $0.errors[call] = (error, times) }
    }

    func mend() { state.withLock { $0.errors = [:] } }

    /// Writes do not return until `release`.
    func hang() { state.withLock { $0.hangs = true } }
    func release() { state.withLock { $0.hangs = false } }

    /// Writes that hang now.
    var waiting: Int { state.withLock { $0.waiting } }

    func holds(_ bytes: [UInt8], at offset: Int = 0) -> Bool {
        state.withLock { $0.bytes[offset..<offset + bytes.count] == bytes[...] }
    }

    private func pass(_ call: Call) throws(Errno) {
        if call != .flush {
            waitWhileHung()
            if let delay { PlainThread.sleep(delay) }
        }
        let error: Errno? = state.withLock { state in
            guard let (error, times) = state.errors[call], times > 0 else { return nil }
            state.errors[call] = (error, times == .max ? times : times - 1)
            return error
        }
        if let error { throw error }
    }

    private func waitWhileHung() {
        state.withLock { $0.waiting += 1 }
        while state.withLock({ $0.hangs }) { PlainThread.sleep(.milliseconds(1)) }
        state.withLock { $0.waiting -= 1 }
    }

    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try pass(.write)
        let end = Int(offset) + data.count
        state.withLock { $0.bytes.replaceSubrange(Int(offset)..<end, with: data) }
    }

    func zero(_ range: ByteRange, unmap: Bool) throws(Errno) {
        try pass(.zero)
        let zeroes = [UInt8](repeating: 0, count: Int(range.count))
        state.withLock {
            $0.bytes.replaceSubrange(Int(range.lowerBound)..<Int(range.upperBound), with: zeroes)
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        state.withLock { state in
            let rest = state.bytes.dropFirst(Int(offset)).prefix(buffer.count)
            buffer.copyBytes(from: rest)
            return rest.count
        }
    }

    func setSize(_ size: UInt64) throws(Errno) {
        if size > capacity! { throw .noSpace }
    }

    func size() throws(Errno) -> UInt64 { capacity! }
    func flush() throws(Errno) { try pass(.flush) }
    func close() {}
}
