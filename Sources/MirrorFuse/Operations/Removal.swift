import MirrorEngine
import MirrorSystem
import SystemPackage

// UNLINK, RMDIR, RENAME: what takes a name away, as the caller. The kernel holds the directories
// concerned, so the names do not change under these functions except behind the mount.

extension Session {
    func removeFile(_ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>) {
        remove(reply, Entry(parent, name), isDirectory: false)
    }

    func removeDirectory(_ reply: consuming Reply, _ parent: UInt64, _ name: UnsafePointer<CChar>) {
        remove(reply, Entry(parent, name), isDirectory: true)
    }

    private func remove(_ reply: consuming Reply, _ entry: Entry, isDirectory: Bool) {
        do throws(Errno) {
            if hides(entry.parent, entry.name) { throw Errno.notPermitted }
            let directory = try nodes.node(entry.parent).descriptor
            let victim = HeldEntry(try? holdEntry(entry.parent, entry.name))
            let before = reply.entry.predecessor {
                .init(subject: victim.identity, isLastName: victim.isLastName)
            }
            if let before, before.subject != nil, before.subject != victim.identity {
                // A predecessor has removed it; what has the name now came later.
                if before.isLastName { engine.deleted(before.subject!) }
                return reply.done()
            }
            try asCaller(of: reply) { () throws(Errno) in
                try directory.removeEntry(entry.name, isDirectory: isDirectory)
            }
            reply.entry?.reached(.done)
            reportIfGone(victim)
            reply.done()
        } catch {
            reply.fail(error)
        }
    }

    func rename(
        _ reply: consuming Reply, _ old: Entry, _ new: Entry, _ options: RenameOptions
    ) {
        do throws(Errno) {
            try checkRename(old, new, options)
            let source = try nodes.node(old.parent).descriptor
            let target = try nodes.node(new.parent).descriptor
            let moved = HeldEntry(try? holdEntry(old.parent, old.name))
            let replaced = HeldEntry(try? holdEntry(new.parent, new.name))
            let before = reply.entry.predecessor {
                .init(
                    subject: moved.identity, replaced: replaced.identity,
                    isLastName: replaced.isLastName)
            }
            let isExchange = options.contains(.exchange)
            if let before, before.isRenamed(moved.identity, replaced.identity, isExchange) {
                finishRename(before, replaced, old, new, isExchange, reply.entry)
                return reply.done()
            }
            try asCaller(of: reply) { () throws(Errno) in
                try source.renameEntry(old.name, to: target, new.name, options)
            }
            reply.entry?.reached(.done)
            reportRename(moved, replaced, old, new, isExchange: isExchange)
            reply.entry?.reached(.told)
            reply.done()
        } catch {
            reply.fail(error)
        }
    }

    /// A predecessor has renamed it; the engine may not know yet. `moved` is what has the new name.
    private func finishRename(
        _ before: JournalEntry.Before, _ moved: borrowing HeldEntry, _ old: Entry, _ new: Entry,
        _ isExchange: Bool, _ entry: JournalEntry?
    ) {
        // An exchange that the engine was told of twice would be none.
        guard entry?.stage != .told, let identity = before.subject else { return }
        let from = nodes.path(of: old.bytes, in: old.parent)
        let to = nodes.path(of: new.bytes, in: new.parent)
        nodes.moved(identity, new.parent, new.bytes)
        if isExchange {
            if let other = before.replaced { nodes.moved(other, old.parent, old.bytes) }
            engine.exchanged(from, to)
        } else {
            engine.renamed(from: from, to: to)
            if before.isLastName, let replaced = before.replaced { engine.deleted(replaced) }
            if moved.isRegular { engine.created(identity, at: to) }
        }
        entry?.reached(.told)
    }

    private func checkRename(
        _ old: Entry, _ new: Entry, _ options: RenameOptions
    ) throws(Errno) {
        if hides(old.parent, old.name) || hides(new.parent, new.name) { throw .notPermitted }
        if !options.isSubset(of: [.noReplace, .exchange]) { throw .invalidArgument }
    }

    private func reportRename(
        _ moved: borrowing HeldEntry, _ replaced: borrowing HeldEntry, _ old: Entry, _ new: Entry,
        isExchange: Bool
    ) {
        // Two names of one file: rename(2) does nothing then.
        if moved.identity == replaced.identity { return }
        let from = nodes.path(of: old.bytes, in: old.parent)
        let to = nodes.path(of: new.bytes, in: new.parent)
        if let identity = moved.identity { nodes.moved(identity, new.parent, new.bytes) }
        if isExchange {
            if let identity = replaced.identity { nodes.moved(identity, old.parent, old.bytes) }
            return engine.exchanged(from, to)
        }
        engine.renamed(from: from, to: to)
        reportIfGone(replaced)
        if moved.isRegular, let identity = moved.identity { engine.created(identity, at: to) }
    }

    private func reportIfGone(_ entry: borrowing HeldEntry) {
        if entry.isRegular, entry.hasNoName, let identity = entry.identity {
            engine.deleted(identity)
        }
    }
}

/// What a name stood for before it was taken away; held so that its link count can be asked after.
struct HeldEntry: ~Copyable {
    private let descriptor: FileDescriptor?
    let identity: FileIdentity?
    let isRegular: Bool
    /// Whether it is a regular file with no other name.
    let isLastName: Bool

    /// Takes the descriptor over.
    init(_ held: (descriptor: FileDescriptor, attributes: FileAttributes)?) {
        descriptor = held?.descriptor
        identity = held?.attributes.identity
        isRegular = held?.attributes.isRegular ?? false
        isLastName = isRegular && held?.attributes.links == 1
    }

    deinit { try? descriptor?.close() }

    /// Whether the file's last name is gone.
    var hasNoName: Bool { (try? descriptor?.attributes().links) == 0 }
}

extension JournalEntry.Before {
    /// Whether the two names stand for what a rename leaves there, and did not before.
    fileprivate func isRenamed(
        _ atOld: FileIdentity?, _ atNew: FileIdentity?, _ isExchange: Bool
    ) -> Bool {
        guard let subject, subject != replaced, atNew == subject else { return false }
        return isExchange ? atOld == replaced : atOld != subject
    }
}

extension Engine {
    /// Two names were exchanged: the same as three renames over a name that nobody can have.
    fileprivate func exchanged(_ one: FilePath, _ other: FilePath) {
        let between = FilePath("/twinfs-exchange")
        renamed(from: one, to: between)
        renamed(from: other, to: one)
        renamed(from: between, to: other)
    }
}
