import Foundation
import MirrorSystem

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A guest that writes at random places until it is stopped, and knows what its image must hold.
final class Writer: @unchecked Sendable {
    private let guest: Guest
    private var random: SplitMix
    private let size: UInt64
    private let flag = NSLock()
    private var isStopped = false
    private let done = DispatchSemaphore(value: 0)
    /// Every byte as the guest wrote it last; to be read once the writer is stopped.
    private(set) var model: [UInt8]

    init(guest: Guest, seed: UInt64, size: UInt64) {
        (self.guest, random, self.size) = (guest, SplitMix(seed: seed), size)
        model = guest.descriptor.bytes(at: 0, count: Int(size))
    }

    func start() {
        Thread { [self] in
            while flag.withLock({ !isStopped }) {
                let count = 1 + random.next(below: 70_000)
                let offset = random.next(below: size - count)
                let byte = UInt8(random.next(below: 256))
                guest.write([UInt8](repeating: byte, count: Int(count)), at: offset)
                for index in Int(offset)..<Int(offset + count) { model[index] = byte }
            }
            done.signal()
        }.start()
    }

    func stop() {
        flag.withLock { isStopped = true }
        done.wait()
    }
}
