import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

/// A named instant of an image, and what changed since: a tracker with a table of its own, from which nothing
/// is ever taken.
final class Checkpoint: Sendable {
    /// Names this checkpoint, and no other anywhere: 32 hexadecimal digits. Twins say with it that they
    /// were cut while it existed.
    let id: String
    let name: String
    /// Seconds since 1970.
    let created: Int
    /// False where changes may have been missed: everything counts as changed then (R10).
    let isComplete: Bool
    let opened: OpenedImage
    let table: DirtyTable
    private let kept = Atomic<Bool>(false)

    /// - Parameter opened: the image, counted as having a job: what is to be tracked must come through the
    ///   mount. The caller's to close, once this is detached.
    init(
        _ stub: CheckpointStub, _ opened: OpenedImage, _ table: DirtyTable,
        isComplete: Bool = true
    ) {
        (id, name, created) = (stub.id, stub.name, stub.created)
        (self.opened, self.table) = (opened, table)
        self.isComplete = isComplete
    }

    var image: Image { opened.image }

    /// Whether every change of the image is marked here. False before anything is detached: whoever holds
    /// the image's changes back and sees it true knows that none was missed up to then.
    var isKept: Bool { kept.load(ordering: .sequentiallyConsistent) }

    /// Marks from now on. Only while no change of the image is under way.
    func attach(size: UInt64) {
        image.end.reached(size)
        _ = image.end.mayHaveGrown(to: size, since: image.end.begin(), isCertain: true)
        image.trackers.add(Tracker(table: table, wake: {}))
        // The next worker believes what this one knows.
        if isComplete { table.settle() }
        kept.store(true, ordering: .sequentiallyConsistent)
    }

    /// Before `detach`, by one caller; says whether it was kept.
    func giveUp() -> Bool { kept.exchange(false, ordering: .sequentiallyConsistent) }

    /// Only while no change of the image is under way.
    func detach() { image.trackers.remove(table) }

    /// Everything counts as changed.
    func markAll(_ size: UInt64) { table.markUncounted(ByteRange(0, size)) }

    /// What changed, below `size`, ascending. Everything where that is not known for sure (R10): the image may
    /// have been longer or shorter meanwhile.
    func extents(below size: UInt64) -> [ByteRange] {
        if !isComplete { return size > 0 ? [ByteRange(0, size)] : [] }
        return table.dirtyExtents(limit: .max).map { $0.clamped(below: size) }.filter {
            !$0.isEmpty
        }
    }

    var stub: CheckpointStub {
        CheckpointStub(id: id, image: shown(image.path), name: name, created: created)
    }
}

/// What is kept of every checkpoint: that there is one (`docs/state.md`).
struct CheckpointStub: Codable, Equatable, Sendable {
    let id: String
    /// Relative to the source directory, as `NameText` shows it.
    var image: String
    let name: String
    let created: Int

    /// What a keeper holds its table under.
    var tableName: String { Self.tablePrefix + id }
    static let tablePrefix = "checkpoint-"

    var imagePath: FilePath { FilePath(shown: image) }
}
