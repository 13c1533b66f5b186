import Logging
import MirrorCore
package import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

// Before the mount is usable: what was switched earlier.

extension ServedImages {
    /// Reads the records, and opens the twins. Never fails: what cannot be believed or reached is
    /// told in `warnings`, and refused when it is opened.
    package func load() {
        guard let directory else { return }
        let file: ServingFile
        do throws(ServingFile.Unreadable) {
            file = try Self.read(directory)
        } catch {
            let text = Self.distrust(directory, error)
            change { $0.distrust = text }
            log.error("\(text)")
            return
        }
        change { $0.generation = file.generation }
        for record in file.records { place(record) }
        settle()
    }

    private static func read(
        _ directory: StateDirectory
    ) throws(ServingFile.Unreadable) -> ServingFile {
        let bytes: [UInt8]?
        do throws(Errno) {
            bytes = try directory.read(ServingFile.name)
        } catch {
            throw ServingFile.Unreadable(reason: "\(error)")
        }
        guard let bytes else { return ServingFile() }
        return try ServingFile(bytes)
    }

    private static func distrust(
        _ directory: StateDirectory, _ failure: ServingFile.Unreadable
    ) -> String {
        "\(shown(directory.path.appending(ServingFile.name))): cannot be used, \(failure.reason); images that"
            + " were switched to a twin are refused until it is put right, or moved away and their own files"
            + " adopted"
    }

    /// Finds the image of a record by its path.
    private func place(_ record: ServingRecord) {
        guard let node = try? source.openNodeBeneath(record.imagePath) else {
            return setAside(record)
        }
        let home = HeldNode(node)
        guard let status = try? node.status(), status.kind == .regular,
            status.identity.inode == record.inode, isOwn(home, record)
        else { return setAside(record) }
        adopt(record, home, status.identity)
    }

    private func setAside(_ record: ServingRecord) {
        change { $0.unplaced.append(record) }
        if record.twin != nil { log.error("\(Self.missingImage(record))") }
    }

    /// Whether what the image's file says of itself goes with the record. A switch-over that a
    /// crash cut short has left the attribute of the time before it, or none.
    private func isOwn(_ home: HeldNode, _ record: ServingRecord) -> Bool {
        guard let marks = try? FileLabels(ofSource: home.descriptor) else { return false }
        guard let mark = marks.superseded else { return true }
        return mark.id == record.id || mark.id == record.replaces?.id
    }

    /// From now on the record speaks for this file.
    @discardableResult
    package func adopt(_ record: ServingRecord, _ home: HeldNode, _ identity: FileIdentity) -> Entry
    {
        var entry = Entry(record: record, home: home)
        if let place = record.twin {
            do throws(Backing.Unusable) {
                entry.backing = try Backing(record, place)
            } catch {
                entry.trouble = Self.missingTwin(record, place, error)
                log.error("\(entry.trouble ?? "")")
            }
        }
        let new = entry
        change { state in
            state.entries[identity] = new
            state.unplaced.removeAll { $0.id == record.id }
            state.refused[identity] = nil
        }
        return new
    }

    static func missingTwin(
        _ record: ServingRecord, _ place: ServingRecord.Place, _ problem: Backing.Unusable
    ) -> String {
        "\(record.image): is served from \(place.path) (generation \(record.generation)), which cannot be"
            + " used: \(problem.reason); bring it back (mount its disk), and the image can be opened again"
    }

    /// Finishes what a crash cut short: attributes that follow from the records.
    private func settle() {
        let entries = state.withLock { Array($0.entries) }
        for (identity, entry) in entries { settle(entry, identity) }
    }

    /// Makes the labels of one image agree with its record.
    package func settle(_ entry: Entry, _ identity: FileIdentity) {
        var marks = SettledLabels(entry, sourcePath)
        marks.apply(log)
        settled(marks, entry.record, identity)
    }

    /// Makes attributes that were set durable. The record of an image that its own file serves
    /// again is not needed any more then.
    func settled(_ marks: SettledLabels, _ record: ServingRecord, _ identity: FileIdentity) {
        guard marks.synchronize(log), record.twin == nil else { return }
        let isDropped = change { state in
            guard state.entries[identity]?.record.id == record.id else { return false }
            state.entries[identity] = nil
            return true
        }
        if isDropped { saveSoon() }
    }
}
