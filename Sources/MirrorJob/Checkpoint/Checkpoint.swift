package import MirrorCore
package import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
package import SystemPackage

/// A named instant of an image, and what changed since: a tracker with a table of its own, from
/// which nothing is ever taken.
package final class Checkpoint: Sendable {
    /// Names this checkpoint, and no other anywhere: 32 hexadecimal digits. Twins say with it that
    /// they were cut while it existed.
    package let id: String
    package let name: String
    /// Seconds since 1970.
    package let created: Int
    /// False where changes may have been missed: everything counts as changed then (R10).
    package let isComplete: Bool
    package let opened: OpenedImage
    package let table: DirtyTable
    private let kept = Atomic<Bool>(false)

    /// - Parameter opened: the image, counted as having a job: what is to be tracked must come
    ///   through the mount. The caller's to close, once this is detached.
    package init(
        _ stub: CheckpointStub, _ opened: OpenedImage, _ table: DirtyTable,
        isComplete: Bool = true
    ) {
        (id, name, created) = (stub.id, stub.name, stub.created)
        (self.opened, self.table) = (opened, table)
        self.isComplete = isComplete
    }

    package var image: Image { opened.image }

    /// Whether every change of the image is marked here. False before anything is detached: whoever
    /// holds the image's changes back and sees it true knows that none was missed up to then.
    package var isKept: Bool { kept.load(ordering: .sequentiallyConsistent) }

    /// Marks from now on. Only while no change of the image is under way.
    package func attach(size: UInt64) {
        image.end.reached(size)
        _ = image.end.mayHaveGrown(to: size, since: image.end.begin(), isCertain: true)
        image.trackers.add(Tracker(table: table, wake: {}))
        // The next worker believes what this one knows.
        if isComplete { table.settle() }
        kept.store(true, ordering: .sequentiallyConsistent)
    }

    /// Before `detach`, by one caller; says whether it was kept.
    package func giveUp() -> Bool { kept.exchange(false, ordering: .sequentiallyConsistent) }

    /// Only while no change of the image is under way.
    package func detach() { image.trackers.remove(table) }

    /// Everything counts as changed.
    package func markAll(_ size: UInt64) { table.markUncounted(ByteRange(0, size)) }

    /// What changed, below `size`, ascending. Everything where that is not known for sure (R10):
    /// the image may have been longer or shorter meanwhile.
    package func extents(below size: UInt64) -> [ByteRange] {
        if !isComplete { return size > 0 ? [ByteRange(0, size)] : [] }
        return table.dirtyExtents(limit: .max).map { $0.clamped(below: size) }.filter {
            !$0.isEmpty
        }
    }

    package var stub: CheckpointStub {
        CheckpointStub(id: id, image: shown(image.path), name: name, created: created)
    }
}

/// What is kept of every checkpoint: that there is one (`docs/state.md`).
package struct CheckpointStub: Codable, Equatable, Sendable {
    package let id: String
    /// Relative to the source directory, as `NameText` shows it.
    package var image: String
    package let name: String
    package let created: Int

    package init(id: String, image: String, name: String, created: Int) {
        (self.id, self.image, self.name, self.created) = (id, image, name, created)
    }

    /// What a keeper holds its table under.
    package var tableName: String { Self.tablePrefix + id }
    package static let tablePrefix = "checkpoint-"

    package var imagePath: FilePath { FilePath(shown: image) }
}
