import MirrorEngine
import MirrorSystem
import Synchronization

/// A file or directory of `.mirror` that somebody has open.
final class OpenMirrorFile: Sendable {
    let node: MirrorNode
    /// Of a directory: its entries when it was opened.
    let entries: [(name: [UInt8], file: MirrorFile)]
    /// End of what was read through the handle, for `poll(2)` on `events`.
    private let seen = Atomic<Int>(0)
    /// What the last command came to, as far as it was not read yet. Nothing is called under it.
    private let answer = Mutex<[UInt8]>([])

    init(_ node: MirrorNode, entries: [(name: [UInt8], file: MirrorFile)] = []) {
        self.node = node
        self.entries = entries
    }

    /// Keeps the line that a command came to, instead of an earlier one.
    func keep(_ line: String) { answer.withLock { $0 = Array(line.utf8) + [0x0a] } }

    /// Takes up to `count` bytes of the last command's line, wherever the handle's offset is: it stands
    /// behind the command that was written.
    func takeAnswer(_ count: Int) -> [UInt8] {
        answer.withLock { answer in
            defer { answer.removeFirst(min(count, answer.count)) }
            return Array(answer.prefix(count))
        }
    }

    /// Up to `count` bytes at `offset`; nil where they were forgotten.
    func bytes(at offset: Int, _ count: Int) -> [UInt8]? {
        if node.file == .control { return takeAnswer(count) }
        guard let events = node.events else {
            return Array(node.content.dropFirst(offset).prefix(count))
        }
        guard let bytes = events.bytes(at: offset, count) else { return nil }
        seen.max(offset + bytes.count, ordering: .relaxed)
        return bytes
    }

    /// Whether a read would give something that was not read yet; always so but for `events`.
    var isReadable: Bool {
        guard let events = node.events else { return true }
        return events.end > seen.load(ordering: .relaxed)
    }
}
