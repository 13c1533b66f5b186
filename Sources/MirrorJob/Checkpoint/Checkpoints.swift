package import Dispatch
package import Logging
package import MirrorCore
package import MirrorImage
package import MirrorState
import MirrorSystem
import MirrorTarget
package import Synchronization
package import SystemPackage

/// The checkpoints of a mount's images.
///
/// | look for | in |
/// |---|---|
/// | what one is | `Checkpoint.swift` |
/// | the command | `Engine+Checkpoint.swift` |
/// | what outlives a mount, and how much of it is believed | `Checkpoints+Persist.swift` |
/// | the files under `.mirror/checkpoints` | `Checkpoints+Tree.swift` |
package final class Checkpoints: Sendable {
    /// Of one image: each has a mark to set in every write.
    package static let most = 64

    /// Protects the lists. Leaf lock: no system call and no call out under it.
    package let state = Mutex(State())
    /// Saves happen here, one after the other.
    package let saving = DispatchQueue(label: "twinfs.checkpoints", qos: .utility)
    package let directory: StateDirectory?
    package let log: Logger

    package struct State {
        /// In the order in which they were made.
        package var all: [Checkpoint] = []
        /// Names that are being given.
        var reserved: [Reservation] = []
        /// Those of an earlier mount whose image was not found.
        package var unplaced: [CheckpointStub] = []
        /// Why the list of an earlier mount cannot be believed.
        package var distrust: String?
    }

    struct Reservation: Equatable {
        let image: FileIdentity
        let name: String
    }

    package init(directory: StateDirectory?, log: Logger) {
        (self.directory, self.log) = (directory, log)
    }

    package var all: [Checkpoint] { state.withLock { $0.all } }

    package func of(_ image: Image) -> [Checkpoint] { all.filter { $0.image === image } }

    /// The ids of those that mark every change of an image now.
    package func ids(of image: Image) -> [String] { of(image).filter(\.isKept).map(\.id) }

    package func find(_ image: Image, _ name: String) -> Checkpoint? {
        of(image).first { $0.name == name }
    }

    /// Takes a name for a checkpoint that is about to be made.
    package func reserve(_ image: Image, _ name: String) throws(CommandError) {
        let wanted = Reservation(image: image.identity, name: name)
        let refusal = state.withLock { state -> CommandError? in
            let same = state.all.filter { $0.image === image }.map(\.name)
            let pending = state.reserved.filter { $0.image == image.identity }.map(\.name)
            if (same + pending).contains(name) { return Self.exists(image, name) }
            if same.count + pending.count >= Self.most { return Self.tooMany(image) }
            state.reserved.append(wanted)
            return nil
        }
        if let refusal { throw refusal }
    }

    /// The one that a name was reserved for is there.
    package func add(_ checkpoint: Checkpoint) {
        state.withLock { state in
            state.all.append(checkpoint)
            state.reserved.removeAll {
                $0 == Reservation(image: checkpoint.image.identity, name: checkpoint.name)
            }
        }
    }

    package func remove(_ checkpoint: Checkpoint) {
        state.withLock { $0.all.removeAll { $0 === checkpoint } }
    }

    /// Takes one out of the list that is known by its image's path only.
    package func removeUnplaced(_ path: FilePath, _ name: String) -> Bool {
        state.withLock { state in
            let count = state.unplaced.count
            state.unplaced.removeAll { $0.imagePath == path && $0.name == name }
            return state.unplaced.count < count
        }
    }

    /// What is wrong, a line each. Never waits for a disk.
    package var warnings: [String] {
        let (all, unplaced, distrust) = state.withLock { ($0.all, $0.unplaced, $0.distrust) }
        let incomplete = all.filter { !$0.isComplete }.map {
            "checkpoint \($0.name) of \(shown($0.image.path)): the mount did not end in order, or the image was"
                + " changed behind it; everything counts as changed, and sync=incremental copies all of it;"
                + " delete it, and make a new one"
        }
        let lost = unplaced.map {
            "checkpoint \($0.name) of \($0.image): there is no such image; put it back and mount anew, or forget"
                + " it: checkpoint \($0.image) \($0.name) delete=on"
        }
        return [distrust].compactMap(\.self) + incomplete + lost
    }

    private static func exists(_ image: Image, _ name: String) -> CommandError {
        CommandError(
            .exists,
            "checkpoint \(name): \(shown(image.path)) has one of that name; choose another, or forget that one:"
                + " checkpoint \(shown(image.path)) \(name) delete=on")
    }

    private static func tooMany(_ image: Image) -> CommandError {
        CommandError(
            .badState,
            "image \(shown(image.path)): has \(most) checkpoints, which is the most; forget one with delete=on"
        )
    }
}
