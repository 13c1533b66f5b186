import Dispatch
import MirrorSystem
import Synchronization
import SystemPackage

/// Writes blocks to an image, as a guest does that is not quiet, on a thread of its own.
final class Guest: Sendable {
    private static let block = 4096

    private let file: FileDescriptor
    private let blocks: Range<Int>
    private let queue = DispatchQueue(label: "twinfs.demo.guest")
    private let isStopped = Atomic<Bool>(false)
    private let writes = Atomic<Int>(0)

    /// - Parameters:
    ///   - start: the first byte that it may write; a multiple of 4096, like `end`.
    init(_ image: FilePath, from start: Int, to end: Int) throws {
        file = try FileDescriptor.openBacking(image, .readWrite)
        blocks = start / Self.block..<end / Self.block
    }

    /// Writes about 200 blocks a second until stopped.
    func start() {
        queue.async { [self] in
            var random = Scramble(seed: 88_172_645_463_325_252)
            while !isStopped.load(ordering: .relaxed) {
                write(&random)
                SteadyClock.sleep(milliseconds: 5)
            }
        }
    }

    private func write(_ random: inout Scramble) {
        let words = (0..<Self.block / 8).map { _ in random.next() }
        let offset = UInt64(blocks.randomElement(using: &random)! * Self.block)
        do {
            try words.withUnsafeBytes { try file.writeFully($0, at: offset) }
            writes.add(1, ordering: .relaxed)
        } catch {
            Console.complain("the guest's write failed: \(error)")
        }
    }

    /// Ends the writing, flushes and closes; how many blocks were written. Can be called again.
    @discardableResult
    func stop() -> Int {
        if !isStopped.exchange(true, ordering: .relaxed) {
            queue.sync {
                try? file.synchronize()
                try? file.close()
            }
        }
        return writes.load(ordering: .relaxed)
    }
}
