import MirrorSystem
package import SystemPackage

/// The directory in which a mount keeps what must outlive it. Made on first need, for its owner
/// alone.
package struct StateDirectory: Sendable {
    /// Absolute.
    package let path: FilePath

    package init(path: FilePath) {
        self.path = path
    }
    /// What the name of a file ends with while it is written.
    static let draft = ".new"

    /// The content of a file in it; nil where there is none.
    package func read(_ name: String) throws(Errno) -> [UInt8]? {
        try path.appending(name).contentIfAny()
    }

    /// Gives a file new content at one instant: after a crash it has the old content or the new
    /// one. The new one is durable when this returns.
    ///
    /// - Throws: what failed; the file is as it was then, as far as the disk lets it be.
    package func replace(_ name: String, with content: [UInt8]) throws(Errno) {
        try make(path)
        let directory = try FileDescriptor.openBacking(path, .readOnly, .directory)
        defer { try? directory.close() }
        let old = try read(name)
        try put(content, as: name)
        do throws(Errno) {
            try directory.synchronize()
        } catch {
            // It is not known which of the two a crash would show. What this process goes on with
            // has to be what stands there.
            if let old { try? put(old, as: name) } else { try? path.appending(name).removeFile() }
            throw error
        }
    }

    /// Removes a file; it is gone for good when this returns.
    package func remove(_ name: String) throws(Errno) {
        try path.appending(name).removeFile()
        let directory = try FileDescriptor.openBacking(path, .readOnly, .directory)
        defer { try? directory.close() }
        try directory.synchronize()
    }

    private func put(_ content: [UInt8], as name: String) throws(Errno) {
        let draft = path.appending(name + Self.draft)
        let file = try FileDescriptor.openBacking(draft, .writeOnly, [.create, .truncate])
        defer { try? file.close() }
        var failure: Errno?
        content.withUnsafeBytes { bytes in
            do throws(Errno) { try file.writeFully(bytes, at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        try file.synchronize()
        try draft.replace(path.appending(name))
    }

    private func make(_ directory: FilePath) throws(Errno) {
        if (try? directory.status()) != nil { return }
        let parent = directory.removingLastComponent()
        if parent != directory, !parent.isEmpty { try make(parent) }
        guard try directory.makeDirectory(mode: 0o700) else { return }
        let holder = try FileDescriptor.openBacking(parent, .readOnly, .directory)
        defer { try? holder.close() }
        try holder.synchronize()
    }
}
