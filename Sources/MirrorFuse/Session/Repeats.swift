import CFuse
import MirrorSystem
import SystemPackage

/// Which requests may not simply be done twice. The table in `docs/reliability.md` names every
/// request that is served and says why it is in this list or not; a test compares the two.
enum Repeats {
    /// A request that has come again as often as this, each time because the worker died over it,
    /// is not tried once more. Deaths that have other reasons do not meet the same request so
    /// often.
    static let most = 4

    @inline(__always)
    static func isJournalled(_ header: fuse_in_header) -> Bool {
        switch header.opcode {
        case FUSE_LOOKUP.rawValue, FUSE_READDIRPLUS.rawValue: true
        case FUSE_OPEN.rawValue, FUSE_OPENDIR.rawValue, FUSE_CREATE.rawValue: true
        case FUSE_MKNOD.rawValue, FUSE_MKDIR.rawValue, FUSE_SYMLINK.rawValue: true
        case FUSE_LINK.rawValue, FUSE_UNLINK.rawValue, FUSE_RMDIR.rawValue: true
        case FUSE_RENAME.rawValue, FUSE_RENAME2.rawValue: true
        case FUSE_SETXATTR.rawValue, FUSE_REMOVEXATTR.rawValue: true
        // Those of images never come here; of `.mirror` they are commands, and their answers.
        case FUSE_READ.rawValue, FUSE_WRITE.rawValue: true
        default: false
        }
    }
}

extension JournalEntry? {
    /// Notes what was there before a change, or tells what a predecessor noted that has begun the
    /// same one; nil where nobody did.
    func predecessor(_ before: () -> JournalEntry.Before) -> JournalEntry.Before? {
        guard let entry = self else { return nil }
        if entry.isRepeat, entry.stage != .taken { return entry.before }
        entry.begin(before())
        return nil
    }
}

extension Session {
    /// What a name stands for now; nil for nothing.
    func identity(of entry: Entry) -> FileIdentity? {
        HeldEntry(try? holdEntry(entry.parent, entry.name)).identity
    }

    /// Makes an entry with `body`, which fails where the name is taken, unless a predecessor took
    /// it for the same request.
    func makeOnce(
        _ slot: JournalEntry?, _ entry: Entry, _ body: () throws(Errno) -> Void
    ) throws(Errno) {
        let before = slot.predecessor { .init(subject: identity(of: entry)) }
        let isOurs = before != nil && before?.subject == nil
        do throws(Errno) {
            try body()
        } catch {
            guard isOurs, error == .fileExists else { throw error }
        }
        slot?.reached(.done)
    }
}
