import Dispatch
import Logging
package import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

// What happens to names in the mount, and what is kept of it.

extension ServedImages {
    /// A name was given to a file or directory in the mount; both are relative to the source.
    package func renamed(from old: FilePath, to new: FilePath) {
        guard hasRecords else { return }
        let isChanged = change { state in
            var isChanged = false
            for (identity, entry) in state.entries {
                guard let path = entry.record.imagePath.moved(from: old, to: new) else { continue }
                state.entries[identity]?.record.image = shown(path)
                isChanged = true
            }
            for index in state.unplaced.indices {
                let path = state.unplaced[index].imagePath.moved(from: old, to: new)
                guard let path else { continue }
                state.unplaced[index].image = shown(path)
                isChanged = true
            }
            return isChanged
        }
        if isChanged { saveSoon() }
    }

    /// Somebody gave a name to another file in the mount: a record that waits for a lost file of
    /// that name is not wanted any more.
    package func created(_ identity: FileIdentity, at path: FilePath) {
        guard hasRecords else { return }
        let name = shown(path)
        let dropped = change { state in
            let dropped = state.unplaced.filter {
                $0.image == name && $0.inode != identity.inode
            }
            state.unplaced.removeAll { dropped.contains($0) }
            if !dropped.isEmpty { state.refused[identity] = nil }
            return dropped
        }
        for record in dropped { tellForgotten(record) }
        let isRenamed = change { $0.takeName(name, from: identity) }
        if !dropped.isEmpty || isRenamed { saveSoon() }
    }

    /// The last name of a file went away in the mount. Guests that have it open go on on the twin.
    package func deleted(_ identity: FileIdentity) {
        let record = change { state in
            state.refused[identity] = nil
            let record = state.entries[identity]?.record
            state.entries[identity]?.isDeleted = true
            return record
        }
        guard let record else { return }
        tellForgotten(record)
        saveSoon()
    }

    /// The last use of an image has ended: with one that has no name any more its entry goes.
    package func released(_ identity: FileIdentity) {
        guard count.load(ordering: .acquiring) > 0, !isInUse(identity) else { return }
        change { state in
            if state.entries[identity]?.isDeleted == true { state.entries[identity] = nil }
        }
    }

    private var hasRecords: Bool {
        state.withLock { !$0.entries.isEmpty || !$0.unplaced.isEmpty }
    }

    private func tellForgotten(_ record: ServingRecord) {
        guard let twin = record.twin else { return }
        log.notice("\(record.image): is gone; the twin \(twin.path) that served it is kept")
    }
}

extension ServedImages.State {
    /// A switched image that had this name, and has others still (hard links), is known by its
    /// attribute from now on: the name means another file.
    fileprivate mutating func takeName(_ name: String, from other: FileIdentity) -> Bool {
        var isChanged = false
        for (identity, entry) in entries where identity != other && entry.record.image == name {
            entries[identity]?.record.image = ""
            isChanged = true
        }
        return isChanged
    }
}

extension ServedImages {
    /// Saves the records as they are then, off the caller's way. A failure is told in the log; what
    /// is in memory goes on being right, and is saved with the next change.
    package func saveSoon() {
        saving.async { [self] in
            do throws(Errno) {
                try save { _ in }
            } catch {
                log.error("cannot save which files serve images: \(error)")
            }
        }
    }

    /// On `saving`: writes the table, changed by `body`, to the disk. The table itself stays.
    package func save(_ body: (inout ServingFile) -> Void) throws(Errno) {
        guard let directory else { throw .noSuchFileOrDirectory }
        let kept = state.withLock { state -> ServingFile? in
            if state.distrust != nil { return nil }
            var file = ServingFile()
            file.generation = state.generation
            file.records = state.entries.values.filter { !$0.isDeleted }.map(\.record)
            file.records += state.unplaced
            return file
        }
        guard var file = kept else { throw .ioError }
        body(&file)
        file.records.sort { $0.id < $1.id }
        try directory.replace(ServingFile.name, with: file.bytes)
    }

    /// Waits until everything that was to be made durable is, for at most five seconds: a disk may
    /// hang.
    package func finishSaving() {
        let done = DispatchSemaphore(value: 0)
        marking.async { [self] in saving.async { done.signal() } }
        _ = done.wait(timeout: .now() + .seconds(5))
    }
}
