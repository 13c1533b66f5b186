package import MirrorCore
import MirrorSystem
import Synchronization
package import SystemPackage

/// The names and the attributes of a twin that is a file: what it is called while it is being
/// written, how it gets its name, and what it says that it is worth.
///
/// The calls may block; they are made on the clerk, one at a time.
package final class TwinFile: Sendable {
    let finalPath: FilePath
    /// The name under which it is being written.
    package let workingPath: FilePath
    package let descriptor: FileDescriptor
    /// Whether it had bytes before the job began that were not found to be zero.
    let holdsOldBytes: Bool
    /// Its directory, for renaming and for making names durable; nil where the name is not ours to
    /// change.
    private let directory: FileDescriptor?
    /// Whether somebody else named it.
    package var isHome: Bool { directory == nil }
    /// The file that has the final name and gives way at the first publication: open, and so
    /// locked, until then. The lock protects the variable alone.
    private let replaced: Mutex<FileDescriptor?>
    /// What was done to make or take over the file.
    private let changes: TwinChanges

    /// Makes or takes over the file as `beginning` says, locks it, and gives it the image's size,
    /// owner and mode. Leaves everything as it was where it fails.
    package init(_ request: TwinRequest) throws(CommandError) {
        var changes = TwinChanges()
        do {
            let made = try request.open(&changes)
            (finalPath, workingPath) = (request.place.path, made.path)
            (descriptor, directory) = (made.descriptor, made.directory)
            holdsOldBytes = made.holdsOldBytes
            replaced = Mutex(made.replaced)
            self.changes = changes
        } catch {
            changes.undo()
            throw error as? CommandError
                ?? .target(request.workingPath, error as? Errno ?? .ioError)
        }
    }

    /// A file that somebody else opened and locked, and whose name, owner and mode are not ours to
    /// change.
    package init(home descriptor: FileDescriptor, _ path: FilePath) {
        (finalPath, workingPath) = (path, path)
        self.descriptor = descriptor
        holdsOldBytes = true
        directory = nil
        replaced = Mutex(nil)
        changes = TwinChanges()
    }

    /// The twin of a job that comes back, open and locked, under its working or its final name.
    ///
    /// - Parameter replaced: the old file that has the final name and is to give way; locked.
    package init(
        returning descriptor: FileDescriptor, in directory: FileDescriptor, _ finalPath: FilePath,
        _ workingPath: FilePath, replaced: FileDescriptor?
    ) {
        (self.finalPath, self.workingPath) = (finalPath, workingPath)
        (self.descriptor, self.directory) = (descriptor, directory)
        holdsOldBytes = true
        self.replaced = Mutex(replaced)
        changes = TwinChanges()
    }

    /// Everything but the descriptor, which the store closes.
    package func close() {
        dropReplaced()
        try? directory?.close()
    }

    /// Takes back what was done to make or take over the file, and closes it. Before anything is
    /// written.
    package func discard() { changes.undo() }

    private func dropReplaced() {
        let old = replaced.withLock { old in
            defer { old = nil }
            return old
        }
        try? old?.close()
    }
}

// Names.

extension TwinFile {
    /// Gives the twin its name; a file that has it, and was to be replaced, goes at the same
    /// instant. Can be called again after a failure, and once it has its name.
    package func publish() throws(Errno) {
        guard let directory, workingPath != finalPath else { return }
        do throws(Errno) {
            try rename(in: directory)
        } catch .noSuchFileOrDirectory where isNamed {
            // An earlier attempt got as far as the rename; the directory may not be durable yet.
        } catch .fileExists where isNamed {
            // Where renaming is linking and unlinking, it got half way.
            try workingPath.removeFile()
        }
        try directory.synchronize()
        dropReplaced()
    }

    private func rename(in directory: FileDescriptor) throws(Errno) {
        let (old, new) = (workingPath.lastComponent!, finalPath.lastComponent!)
        if let replaced = replaced.withLock({ $0 }), try isNamed(replaced) {
            try directory.renameOver(old, to: new)
        } else {
            try directory.rename(old, to: new)
        }
    }

    /// Whether the final name still leads to the file that is to give way, and not to a later one.
    private func isNamed(_ file: FileDescriptor) throws(Errno) -> Bool {
        guard let named = try? finalPath.status(followingLinks: false) else { return false }
        return try named.identity == file.status().identity
    }

    /// Whether the final name leads to this very file.
    private var isNamed: Bool { (try? isNamed(descriptor)) == true }

    /// Writes the list of what a delta holds beside it, as a whole or not at all.
    package func saveExtents(_ list: [UInt8]) throws(Errno) {
        let path = workingPath.suffixed(".extents")
        let draft = path.suffixed(".new")
        let file = try FileDescriptor.openBacking(draft, .readWrite, [.create, .truncate])
        defer { try? file.close() }
        var failure: Errno?
        list.withUnsafeBytes { bytes in
            do throws(Errno) { try file.writeFully(bytes, at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        try file.synchronize()
        try draft.replace(path)
        try directory?.synchronize()
    }
}

// Attributes.

extension TwinFile {
    /// Durable when this returns. Filesystems without attributes keep none.
    package func stamp(_ stamp: JobStamp) throws(Errno) {
        do throws(Errno) {
            try descriptor.setAttribute(TwinAttribute.job, stamp.text)
        } catch .notSupported {
            return
        }
        try descriptor.synchronize()
    }

    /// Says that its job is over. What was not flushed is not waited for.
    package func stampEnd(_ text: String, isDurable: Bool) {
        guard (try? descriptor.setAttribute(TwinAttribute.job, text)) != nil, isDurable else {
            return
        }
        try? descriptor.synchronize()
    }

    /// Says what the twin is worth. Filesystems without attributes keep no state.
    package func annotate(_ state: TwinWorth, _ more: [(name: String, value: String)]) {
        // The state last: it vouches for the others.
        for (name, value) in more {
            try? descriptor.setAttribute(TwinAttribute.prefix + name, value)
        }
        try? descriptor.setAttribute(TwinAttribute.state, state.rawValue)
    }

    /// Says what the twin is worth, durably when this returns.
    package func annotateDurably(
        _ state: TwinWorth, _ more: [(name: String, value: String)]
    ) throws(Errno) {
        do throws(Errno) {
            for (name, value) in more {
                try descriptor.setAttribute("user.twinfs.\(name)", value)
            }
            try descriptor.setAttribute(TwinAttribute.state, state.rawValue)
        } catch .notSupported {
            return
        }
        try descriptor.synchronize()
    }

    /// Of an outdated twin: the instant of which it is, seconds since 1970.
    package var pastTime: Int? {
        guard descriptor.attribute(TwinAttribute.state) == TwinWorth.outdated.rawValue else {
            return nil
        }
        return descriptor.attribute("user.twinfs.cut").flatMap { Int($0) }
    }

    /// Takes away what makes the file a twin: it serves as an image from here on.
    package func removeAnnotations() {
        for name in [
            TwinAttribute.state, TwinAttribute.image, TwinAttribute.checkpoints, TwinAttribute.job,
            TwinAttribute.cut, TwinAttribute.generation,
        ] {
            try? descriptor.removeAttribute(name)
        }
    }
}
