import MirrorSystem
import Synchronization
import SystemPackage

/// A directory that is being read. Offsets are the backing filesystem's own, so they stay good for
/// a restarted worker.
final class OpenDirectory: Sendable {
    /// Bytes of entries fetched at once.
    static let bufferSize = 32 << 10

    let descriptor: FileDescriptor
    let node: UInt64
    /// Protects the buffer and the descriptor's position. The kernel reads a handle from one thread
    /// at a time, so nobody waits here, also not over the system calls made under it.
    let reading: Mutex<EntryBuffer>

    init(descriptor: FileDescriptor, node: UInt64) {
        self.descriptor = descriptor
        self.node = node
        reading = Mutex(EntryBuffer(descriptor))
    }

    deinit { try? descriptor.close() }
}

/// Entries that were fetched and not yet shown.
///
/// `@unchecked Sendable`: it is the only owner of its memory.
struct EntryBuffer: ~Copyable, @unchecked Sendable {
    private let descriptor: FileDescriptor
    private let memory = PageMemory(count: OpenDirectory.bufferSize)
    private var used = 0
    private var offset = 0
    /// Where the entry at `offset` stands in the directory.
    private var position: Int64 = 0

    init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

    /// Goes to `position`. At the start everything is fetched anew: rewinddir(3) wants to see
    /// changes.
    mutating func seek(to position: Int64) throws(Errno) {
        if position == self.position, position != 0 { return }
        try descriptor.seekDirectory(to: position)
        (used, offset) = (0, 0)
        self.position = position
    }

    /// The entry at the position, which stays; nil at the end.
    mutating func current() throws(Errno) -> DirectoryEntry? {
        if offset == used {
            used = try descriptor.readEntries(into: memory.bytes)
            offset = 0
        }
        return used == 0 ? nil : DirectoryEntry(memory.bytes, at: offset)
    }

    mutating func advance(past entry: DirectoryEntry) {
        offset += entry.length
        position = entry.next
    }
}
