import FoundationEssentials
package import MirrorCore
import MirrorState
package import MirrorSystem
import SystemPackage

/// The content of `checkpoints.json`: which checkpoints there are.
package struct CheckpointList: Codable, Equatable, Sendable {
    package static let name = "checkpoints.json"

    package var checkpoints: [CheckpointStub] = []

    package var bytes: [UInt8] {
        SealedText.seal(JSON.bytes(self, isPretty: true) + [UInt8(ascii: "\n")])
    }

    package init(_ checkpoints: [CheckpointStub]) { self.checkpoints = checkpoints }

    /// Nil where the bytes are not what was written.
    package init?(_ bytes: [UInt8]) {
        guard let body = try? SealedText.open(bytes),
            let list = try? JSONDecoder().decode(CheckpointList.self, from: Data(body)),
            list.checkpoints.allSatisfy({ Plausible.isName($0.id) && Plausible.isImage($0.image) })
        else { return nil }
        self = list
    }
}

/// The content of `checkpoint-ID.json`: what had changed when the mount ended, and the image as it
/// was then.
package struct CheckpointExtents: Codable, Equatable, KeptTimes, Sendable {
    package let id: String
    package let complete: Bool
    /// Of the file that served the image. Its device number is not kept: it changes with a boot.
    package let inode: UInt64
    package let size: UInt64
    /// Nanoseconds since 1970: of its bytes, and of anything of it.
    package let modified: Int64
    package let changed: Int64
    /// Start and length, in bytes.
    package let extents: [[UInt64]]

    package static func name(_ id: String) -> String { "checkpoint-\(id).json" }

    package init(_ checkpoint: Checkpoint, _ status: FileStatus) {
        (id, complete) = (checkpoint.id, checkpoint.isComplete)
        (inode, size) = (status.identity.inode, status.size)
        (modified, changed) = (status.modified, status.changed)
        // Also what lies above the end: the image may grow there again.
        extents = checkpoint.table.dirtyExtents(limit: .max).map { [$0.lowerBound, $0.count] }
    }

    package var bytes: [UInt8] { SealedText.seal(JSON.bytes(self) + [UInt8(ascii: "\n")]) }

    /// Nil where the bytes are not what was written for this checkpoint.
    package init?(_ bytes: [UInt8], id: String) {
        guard let body = try? SealedText.open(bytes),
            let marks = try? JSONDecoder().decode(CheckpointExtents.self, from: Data(body)),
            marks.id == id, Plausible.are(marks.extents)
        else { return nil }
        self = marks
    }

    package var ranges: [ByteRange] { extents.map { ByteRange(at: $0[0], count: $0[1]) } }
}
