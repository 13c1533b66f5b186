import MirrorCore
package import MirrorImage
import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

/// One image's part of a switch-over.
package struct Move: Sendable {
    package let image: Image
    /// The twin: absolute, without links in its directory.
    package let twin: FilePath
    /// The twin, open for reading and writing, and locked. Stays the caller's, who closes it some
    /// time after; the lock stays for as long as the image needs it.
    package let descriptor: FileDescriptor
    /// Bytes that the image has at the cut.
    package let length: UInt64

    package init(image: Image, twin: FilePath, descriptor: FileDescriptor, length: UInt64) {
        (self.image, self.twin, self.descriptor, self.length) = (image, twin, descriptor, length)
    }
}

/// A move, for which everything that can fail is done before the record is written.
final class PreparedMove {
    let move: Move
    private(set) var record: ServingRecord
    let home: HeldNode
    /// Nil where the image's own file serves it again.
    let backing: Backing?
    /// Id of the record that this one takes the place of.
    let replaced: String?
    /// What served the image so far, if that was not its own file.
    let former: Backing?
    /// The twin once more, for the image's lock.
    private var lock: FileDescriptor?
    /// For each descriptor of the image one of the twin.
    private var replacements: [(old: FileDescriptor, new: FileDescriptor)] = []

    init(
        _ move: Move, _ plan: SwitchPlan, home: HeldNode, entry: ServedImages.Entry?
    ) throws(Errno) {
        self.move = move
        self.home = home
        (former, replaced) = (entry?.backing, entry?.record.id)
        let status = try move.descriptor.status()
        let isHome = status.identity == move.image.identity
        // An image without a name has no place in a record; one that is at home stays there.
        if entry?.isDeleted == true || isHome && former == nil { throw .invalidArgument }
        let place = isHome ? nil : try plan.place(of: move, status)
        record = plan.record(of: move, place, replacing: entry?.record)
        backing =
            try place.map { (place) throws(Errno) in
                Backing(
                    path: move.twin,
                    node: try FileDescriptor.openNode(at: move.descriptor.procPath),
                    isDevice: place.isDevice, length: place.length)
            }
    }

    deinit {
        try? lock?.close()
        for (_, new) in replacements { try? new.close() }
    }

    /// Opens what the image's descriptors will stand for, and marks the twin.
    func prepare() throws(Errno) {
        if let backing, !backing.isDevice {
            try backing.node.mark(serving: record.servingLabel)
            try backing.node.synchronizeNode()
        }
        lock = try move.descriptor.duplicated()
        let node = try FileDescriptor.openNode(at: move.descriptor.procPath)
        defer { try? node.close() }
        for handle in move.image.handles.all {
            let new = try node.reopened(handle.flags, directly: handle.isDirect)
            replacements.append((handle.descriptor, new))
        }
    }

    /// Follows a rename: the image's path now.
    func lookUpPath() { record.image = shown(move.image.path) }

    /// The switch-over does not happen: takes back what was written on the twin.
    func abandon() {
        guard let backing, !backing.isDevice else { return }
        try? backing.node.removeNodeAttribute(TwinAttribute.serving)
    }

    /// The image's entry once the record is written.
    var entry: ServedImages.Entry {
        ServedImages.Entry(record: record, home: home, backing: backing)
    }

    /// Gives the image its new file. Cannot fail.
    func swap() {
        // Reads go on meanwhile: none sees more of a device than the image's bytes.
        if let backing, backing.isDevice { move.image.bound(to: backing.limit) }
        move.image.handles.swap(replacements)
        move.image.pagesMayGo.store(move.descriptor.givesPages, ordering: .relaxed)
        // What failed to reach the old disk is on the new one: the twin was flushed.
        move.image.moves.add(1, ordering: .sequentiallyConsistent)
        move.image.flushFailure.store(0, ordering: .sequentiallyConsistent)
        move.image.bound(to: backing?.limit ?? .max)
        // A copier that reads across the change may have read past the image's end.
        move.image.trackers.markLength()
        if let lock = lock.take() { move.image.lock.move(to: lock) }
    }
}

/// What the moves of one switch-over have in common.
struct SwitchPlan {
    let generation: Int
    let time: Int

    /// Where the twin is, as the record has it.
    func place(
        of move: Move, _ status: FileStatus
    ) throws(Errno) -> ServingRecord.Place {
        let isDevice = status.kind == .blockDevice
        return ServingRecord.Place(
            path: shown(isDevice ? DeviceName.lasting(move.twin) : move.twin),
            inode: isDevice ? status.representedDevice : status.identity.inode,
            isDevice: isDevice, length: move.length,
            capacity: isDevice ? try move.descriptor.blockDeviceSize() : 0)
    }

    func record(
        of move: Move, _ place: ServingRecord.Place?, replacing old: ServingRecord?
    ) -> ServingRecord {
        // Of a way back whose attributes may not be durable yet, what it came from.
        let past = old.flatMap { old in
            old.twin.map { ServingRecord.Past(id: old.id, twin: $0.path) } ?? old.replaces
        }
        return ServingRecord(
            id: RandomID.make(), generation: generation, image: shown(move.image.path),
            inode: move.image.identity.inode, twin: place, replaces: past, time: time)
    }
}
