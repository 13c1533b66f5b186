import MirrorEngine
import MirrorSystem
import Synchronization

/// A file or directory of `.mirror` that somebody has open.
final class OpenControlFile: Sendable {
    let node: ControlNode
    /// Of a directory: its entries when it was opened.
    let entries: [(name: [UInt8], file: ControlFile)]
    /// End of what was read through the handle, for `poll(2)` on `events`.
    private let seen: Atomic<Int>
    /// Protects the record of what the last command came to. Nothing is called under it.
    let answering = Mutex<Void>(())

    init(_ node: ControlNode, entries: [(name: [UInt8], file: ControlFile)] = []) {
        self.node = node
        seen = Atomic(node.events?.start ?? 0)
        self.entries = entries
    }

    /// Up to `count` bytes at `offset`; nil where they were forgotten. Not of `control`.
    func bytes(at offset: Int, _ count: Int) -> [UInt8]? {
        guard let events = node.events else {
            return Array(node.content.dropFirst(offset).prefix(count))
        }
        guard let bytes = events.bytes(at: offset, count) else { return nil }
        // Behind the end nothing was read, and the sum may be too large for a number.
        if !bytes.isEmpty { seen.max(offset + bytes.count, ordering: .relaxed) }
        return bytes
    }

    /// Whether a read would give something that was not read yet; always so but for `events`.
    var isReadable: Bool {
        guard let events = node.events else { return true }
        return events.end > seen.load(ordering: .relaxed)
    }
}
