import CFuse
import MirrorSystem

/// The answer to READDIR or READDIRPLUS while it is filled.
struct EntryList {
    let withAttributes: Bool
    /// Where look-ups that are handed out are noted.
    let journal: JournalEntry?
    private let request: fuse_req_t
    private let room: UnsafeMutableRawBufferPointer
    private var used = 0

    init(
        _ request: fuse_req_t, _ room: UnsafeMutableRawBufferPointer, withAttributes: Bool,
        journal: JournalEntry?
    ) {
        self.request = request
        self.journal = journal
        self.room = room
        self.withAttributes = withAttributes
    }

    var filled: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: room[..<used]) }

    /// Adds an entry that the kernel shall look up itself when it needs to. False where it has no
    /// room.
    mutating func add(_ entry: DirectoryEntry) -> Bool {
        let attributes = FileAttributes(
            inode: entry.inode, mode: entry.type, owner: 0, group: 0, size: 0)
        return add(entry.name, 0, attributes, entry.next, valid: 0)
    }

    /// Adds an entry with its node, whose look-up the kernel then counts.
    mutating func add(
        _ entry: DirectoryEntry, _ node: UInt64, _ attributes: FileAttributes, valid: Double
    ) -> Bool {
        add(entry.name, node, attributes, entry.next, valid: valid)
    }

    /// Adds an entry of `.mirror`, after which the directory goes on at `next`.
    mutating func add(mirror entry: (name: [UInt8], attributes: FileAttributes), _ next: Int64)
        -> Bool
    {
        add(entry.name, 0, entry.attributes, next, valid: 0)
    }

    private mutating func add(
        _ name: [UInt8], _ node: UInt64, _ attributes: FileAttributes, _ next: Int64,
        valid: Double
    ) -> Bool {
        var entry = fuse_entry_param()
        entry.ino = node
        entry.attr = attributes.raw
        (entry.attr_timeout, entry.entry_timeout) = (valid, valid)
        let free = UnsafeMutableRawBufferPointer(rebasing: room[used...])
        let start = free.baseAddress?.assumingMemoryBound(to: CChar.self)
        let size = name.withCString { name in
            withAttributes
                ? fuse_add_direntry_plus(request, start, free.count, name, &entry, off_t(next))
                : fuse_add_direntry(request, start, free.count, name, &entry.attr, off_t(next))
        }
        if size > free.count { return false }
        used += size
        return true
    }
}
