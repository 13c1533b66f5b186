package import Dispatch
package import Logging
package import MirrorCore
package import MirrorSystem
package import Synchronization
package import SystemPackage

/// Which images are served from another file than their own.
///
/// | look for | in |
/// |---|---|
/// | what is kept on disk | `ServingRecord.swift`, `docs/state.md` |
/// | how it is read when the mount begins | `ServedImages+Load.swift` |
/// | which file an open gets, or why none | `ServedImages+Open.swift` |
/// | how an image gets another file | `SwitchOver.swift`, `PreparedMove.swift` |
/// | renames and deletions, and the file itself | `ServedImages+Names.swift` |
package final class ServedImages: Sendable {
    /// Protects the table. Leaf lock: no system call and no call out under it.
    package let state = Mutex(State())
    /// How many entries there are. Nearly always none: then nobody takes the lock.
    package let count = Atomic<Int>(0)
    /// Saves happen here, one after the other.
    package let saving = DispatchQueue(label: "twinfs.state", qos: .utility)

    /// Attributes are made durable here, which may take as long as files have to be written back.
    let marking = DispatchQueue(label: "twinfs.marks", qos: .utility)

    package let directory: StateDirectory?
    /// The source directory and its path.
    package let source: FileDescriptor
    package let sourcePath: FilePath
    package let log: Logger
    /// Whether an image of this identity is in use.
    package let isInUse: @Sendable (FileIdentity) -> Bool

    package struct State {
        /// By the identity of the image's own file.
        package var entries: [FileIdentity: Entry] = [:]
        /// Records whose image was not found.
        package var unplaced: [ServingRecord] = []
        package var generation = 0
        /// Why `serving.json` cannot be believed. It is left as it is then.
        package var distrust: String?
        /// Superseded files that were asked for and refused.
        package var refused: [FileIdentity: String] = [:]
    }

    /// An image that is served from elsewhere.
    package struct Entry {
        package var record: ServingRecord
        /// Its own file. As long as this is held no other file gets its identity.
        package let home: HeldNode
        /// Nil where the twin could not be opened, or where its own file serves it again.
        package var backing: Backing?
        /// Why the twin could not be opened.
        package var trouble: String?
        /// It has no name any more, and its record is gone; guests may have it open still.
        var isDeleted = false
    }

    package init(
        directory: StateDirectory?, source: FileDescriptor, sourcePath: FilePath, log: Logger,
        isInUse: @escaping @Sendable (FileIdentity) -> Bool
    ) {
        self.directory = directory
        self.source = source
        self.sourcePath = sourcePath
        self.log = log
        self.isInUse = isInUse
    }

    /// The file that serves an image in place of its own; nil where that one does, or where the
    /// twin cannot be reached. Makes no system call.
    package func backing(of identity: FileIdentity) -> Backing? {
        guard count.load(ordering: .acquiring) > 0 else { return nil }
        return state.withLock { $0.entries[identity]?.backing }
    }

    /// The own file of an image that a twin serves.
    package func home(of identity: FileIdentity) -> HeldNode? {
        state.withLock { state in
            guard let entry = state.entries[identity], entry.backing != nil else { return nil }
            return entry.home
        }
    }

    /// Which images are served from a twin. Never waits for a disk.
    package var reports: [ServedReport] {
        let records = state.withLock { state in
            state.entries.values.filter { !$0.isDeleted }.map(\.record)
        }
        return records.sorted { $0.image < $1.image }.compactMap { record in
            record.twin.map {
                ServedReport(
                    image: record.image, twin: $0.path, generation: record.generation)
            }
        }
    }

    /// What is wrong with switched images, a line each. Never waits for a disk.
    package var warnings: [String] {
        state.withLock { state in
            let unplaced = state.unplaced.filter { $0.twin != nil }.map(Self.missingImage)
            return [state.distrust].compactMap(\.self)
                + state.entries.values.compactMap(\.trouble).sorted() + unplaced
                + state.refused.values.sorted()
        }
    }

    /// Changes the table; `count` follows.
    package func change<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        state.withLock { state in
            let value = body(&state)
            count.store(state.entries.count, ordering: .releasing)
            return value
        }
    }

    static func missingImage(_ record: ServingRecord) -> String {
        "\(record.image.isEmpty ? "inode \(record.inode)" : record.image): was switched to \(record.twin?.path ?? "") (generation \(record.generation)), and"
            + " its own file is gone from the source directory; put that file back, or give this name to"
            + " another one inside the mount"
    }
}

/// A file that is held open by an O_PATH descriptor.
package final class HeldNode: Sendable {
    package let descriptor: FileDescriptor

    /// Takes the descriptor over.
    init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

    deinit { try? descriptor.close() }
}
