package import Dispatch
package import MirrorCore
package import MirrorImage
import MirrorSystem
package import Synchronization
package import SystemPackage

/// Which extents of an image may differ from its twin after a power cut: one bit for each 4 MiB, on
/// disk.
///
/// An extent whose bit is clear on disk has equal, durable bytes in source and twin. So before the
/// first write to such an extent reaches the source its bit is durable (`admits`, `request`), and
/// it is cleared again only after both were made durable (`IntentLog+Clear.swift`).
///
/// | look for | in |
/// |---|---|
/// | the blocks on disk | `IntentFormat.swift` (MirrorCore), `IntentFile.swift` |
/// | the bits in memory | `IntentBits.swift` |
/// | how many requests become durable together | `IntentLog+Commit.swift` |
/// | clearing | `IntentLog+Clear.swift` |
/// | whether a log is believed after a crash | `Trust.swift` |
///
/// A log whose disk fails or hangs is *void*: it admits everything, and never anything is concluded
/// from it again. Bits are changed on `queue` only.
package final class IntentLog: Sendable {
    package let id: String
    package let store: any IntentStore
    package let bits = IntentBits()
    package let queue: DispatchQueue
    /// Longest that writes wait for the disk.
    package let patience: Duration
    /// What to do when the log becomes void: make that known elsewhere, durably, and call back.
    package let voided: Mutex<(@Sendable (Errno, _ done: @escaping @Sendable () -> Void) -> Void)?>
    /// Called after bits were set, on `queue`.
    package let grown = Mutex<(@Sendable () -> Void)?>(nil)

    /// Why it is void; 0 where it is not.
    package let failure = Atomic<Int32>(0)
    /// Durable bits that are set.
    package let setCount = Atomic<Int>(0)
    /// Commits so far, for tests and the status.
    let commits = Atomic<Int>(0)
    /// Blocks of bits in the file. On `queue`.
    let blockCount: Atomic<Int>
    /// Nothing is called under it.
    package let waiting = Mutex(Waiting())
    /// What source and twin were like when they were looked at last.
    package let stamps = Mutex<(source: FileStamp, twin: FileStamp?)?>(nil)
    /// The heartbeat of the process that had the log before; nil where there is none to believe.
    package let found: Heartbeat?

    package init(
        _ id: String, _ store: any IntentStore, blocks: Int, found: Heartbeat? = nil,
        patience: Duration = .seconds(2)
    ) {
        (self.id, self.store, self.found, self.patience) = (id, store, found, patience)
        blockCount = Atomic(blocks)
        voided = Mutex(nil)
        queue = DispatchQueue(label: "twinfs.intent.\(id)", qos: .userInitiated)
    }

    deinit { store.close() }

    /// A new log at its full length, durable when this returns.
    ///
    /// - Parameters:
    ///   - id: `<job uuid>-<member index>`.
    ///   - size: of the image.
    ///   - isFull: whether all extents begin as set; else source and twin are equal and durable.
    package static func create(
        _ id: String, in directory: StateDirectory, size: UInt64, isFull: Bool
    ) throws(Errno) -> IntentLog {
        let blocks = IntentFormat.blocks(for: size)
        let content = firstContent(id, blocks: blocks, isFull: isFull)
        let file = try IntentFile.create(id, in: directory, content: content)
        return IntentLog(created: id, file, blocks: blocks, isFull: isFull)
    }

    /// The log of an earlier mount or worker; what it says is durable when this returns.
    ///
    /// - Returns: nil where it is missing or no log of this id: compare everything.
    package static func open(_ id: String, in directory: StateDirectory, size: UInt64) -> IntentLog?
    {
        guard let file = try? IntentFile(id, directory) else { return nil }
        return IntentLog(opened: id, file, size: size)
    }

    package convenience init(
        created id: String, _ store: any IntentStore, blocks: Int, isFull: Bool
    ) {
        self.init(id, store, blocks: blocks)
        if isFull { fill() }
    }

    /// Sets all bits, as they stand on disk already.
    package func fill() {
        let blocks = blockCount.load(ordering: .relaxed)
        for word in 0..<blocks * IntentFormat.wordsPerBlock { bits.set(.durable, .max, word) }
        setCount.store(blocks * IntentFormat.extentsPerBlock, ordering: .relaxed)
    }

    static func firstContent(_ id: String, blocks: Int, isFull: Bool) -> [UInt8] {
        let words = [UInt64](
            repeating: isFull ? .max : 0, count: IntentFormat.wordsPerBlock)
        var content = IntentFormat.head(id) + [UInt8](repeating: 0, count: IntentFormat.blockSize)
        for number in 0..<blocks { content += IntentFormat.block(number, words, of: id) }
        return content
    }

    /// What an earlier process has left.
    package struct Found: Sendable {
        let intended: [ByteRange]
        /// Nil where there is none to believe.
        package let beat: Heartbeat?
    }

    package var past: Found { Found(intended: intended, beat: found) }

    /// Every extent that may differ, as bytes, in order and as long as they are. All that lies past
    /// the end of the file is one of them.
    var intended: [ByteRange] {
        var ranges: [ByteRange] = []
        func add(_ range: ByteRange) {
            if let last = ranges.last, last.upperBound == range.lowerBound {
                ranges[ranges.count - 1] = ByteRange(last.lowerBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
        let shift = UInt64(IntentFormat.extentShift)
        bits.forEachWord { word in
            var rest = bits.load(.durable, word)
            // By runs of ones: in a log that intends everything a word is one.
            while rest != 0 {
                let first = rest.trailingZeroBitCount
                let end = first + (~(rest >> UInt64(first))).trailingZeroBitCount
                let extents = (UInt64(word * 64 + first), UInt64(word * 64 + end))
                add(ByteRange(extents.0 << shift, extents.1 << shift))
                rest &= .max << UInt64(end)
            }
        }
        return ranges
    }

    /// What the changes of its image go through.
    package var gate: IntentGate {
        IntentGate(bits: bits) { [self] range, done in request(range, then: done) }
    }

    /// Whether a write of `range` may go on: its bits are durable. Notes that it is written.
    func admits(_ range: ByteRange) -> Bool { bits.admits(range) }

    /// Notes that `range` is about to be written; its bits may be clear.
    package func touch(_ range: ByteRange) {
        for (word, mask) in Self.words(of: range) { bits.set(.touched, mask, word) }
    }

    /// Whether every extent of the range is durably set; notes nothing.
    func durable(_ range: ByteRange) -> Bool {
        Self.words(of: range).allSatisfy { bits.load(.durable, $0.word) & $0.mask == $0.mask }
    }

    package var isVoid: Bool { failure.load(ordering: .acquiring) != 0 }

    /// The words and bits of the extents that a range touches.
    package static func words(of range: ByteRange) -> some Sequence<(word: Int, mask: UInt64)> {
        let range = range.clamped(below: DirtyTable.limit)
        let shift = UInt64(IntentFormat.extentShift)
        let first = Int(range.lowerBound >> shift)
        let end = range.isEmpty ? first : Int((range.upperBound - 1) >> shift) + 1
        return (first / 64..<max(first / 64, (end + 63) / 64)).lazy.map { word in
            let low = max(first - word * 64, 0)
            let count = min(end - word * 64, 64) - low
            let ones = count == 64 ? UInt64.max : (1 << UInt64(count)) - 1
            return (word, ones << UInt64(low))
        }
    }
}
