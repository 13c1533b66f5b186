import Logging
import MirrorCore
package import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

// Which file an open of an image gets.

extension ServedImages {
    /// The file that serves an image; nil where its own does.
    ///
    /// - Parameters:
    ///   - node: the image's own file, in any way of having it open.
    ///   - path: relative to the source directory.
    /// - Throws: `.ioError` where the image's own file is old and its twin is not known or not
    ///   there.
    package func backing(
        forOpening identity: FileIdentity, _ node: FileDescriptor, at path: FilePath
    ) throws(Errno) -> Backing? {
        if let entry = state.withLock({ $0.entries[identity] }) {
            return try backing(entry, identity)
        }
        let marks = try FileLabels(ofSource: node)
        if marks.superseded == nil, marks.areKept || isCertain(identity, path) {
            try refuseReplaced(identity, path)
            forgive(identity)
            return nil
        }
        if let record = find(marks, identity) {
            let home = HeldNode(try FileDescriptor.openNode(at: node.procPath))
            var moved = record
            moved.image = shown(path)
            let entry = adopt(moved, home, identity)
            settle(entry, identity)
            saveSoon()
            return try backing(entry, identity)
        }
        throw refuse(identity, Self.superseded(path, marks.superseded))
    }

    /// Whether a file without attributes can be believed to be no superseded one.
    private func isCertain(_ identity: FileIdentity, _ path: FilePath) -> Bool {
        state.withLock { state in
            state.distrust == nil && !state.unplaced.contains { $0.inode == identity.inode }
        }
    }

    /// The record of a file that was renamed while nothing was mounted.
    private func find(_ marks: FileLabels, _ identity: FileIdentity) -> ServingRecord? {
        state.withLock { state in
            state.unplaced.first { record in
                guard record.inode == identity.inode else { return false }
                guard let mark = marks.superseded else { return !marks.areKept }
                return mark.id == record.id || mark.id == record.replaces?.id
            }
        }
    }

    /// The twin, opened now where it was not there before.
    private func backing(_ entry: Entry, _ identity: FileIdentity) throws(Errno) -> Backing? {
        guard let place = entry.record.twin else { return nil }
        if let backing = entry.backing { return backing }
        let backing: Backing
        do throws(Backing.Unusable) {
            backing = try Backing(entry.record, place)
        } catch {
            let text = Self.missingTwin(entry.record, place, error)
            let isNews = change { state in
                defer { state.entries[identity]?.trouble = text }
                return state.entries[identity]?.trouble != text
            }
            if isNews { log.error("\(text)") }
            throw .ioError
        }
        return change { state in
            // Another open may have been first: there is one object for one file.
            if let other = state.entries[identity]?.backing { return other }
            state.entries[identity]?.backing = backing
            state.entries[identity]?.trouble = nil
            return backing
        }
    }

    /// A new file with the name of a switched image, put there behind the mount, may be an old copy
    /// of it.
    private func refuseReplaced(_ identity: FileIdentity, _ path: FilePath) throws(Errno) {
        let name = shown(path)
        let record = state.withLock { state in
            state.unplaced.first { $0.image == name && $0.twin != nil }
        }
        guard let record else { return }
        throw refuse(identity, Self.missingImage(record))
    }

    /// What was refused earlier may be opened now.
    private func forgive(_ identity: FileIdentity) {
        let isRefused = state.withLock { $0.refused[identity] != nil }
        if isRefused { change { $0.refused[identity] = nil } }
    }

    /// Said once in the log, and in the status for as long as it is so.
    private func refuse(_ identity: FileIdentity, _ text: String) -> Errno {
        let isNews = change { $0.refused.updateValue(text, forKey: identity) != text }
        if isNews { log.error("\(text)") }
        return .ioError
    }

    private static func superseded(_ path: FilePath, _ mark: SupersededLabel?) -> String {
        let name = shown(path)
        guard let mark else {
            return
                "\(name): may be superseded by a twin: the mount's record of that cannot be used, and this"
                + " filesystem keeps no attributes that would tell"
        }
        return
            "\(name): superseded by \(mark.place) (generation \(mark.generation)), which this mount does not"
            + " know: mount with the state directory it was switched in (statedir=), or adopt the old contents"
            + " with: setfattr -x \(TwinAttribute.superseded) \(name) (as seen when not mounted)"
    }
}
