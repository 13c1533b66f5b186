import MirrorCore
package import MirrorState
package import MirrorSystem
import MirrorTarget
import SystemPackage

/// What an earlier life of a job has left for it to go on from.
package struct Resumption: Sendable {
    package enum Life: Sendable {
        /// A worker died or was replaced: its memory is there, and nobody else has served the
        /// image.
        case worker
        /// The mount is new: only the state directory is there.
        case mount
    }

    package let life: Life
    package let record: JobRecord
    package let members: [Member]

    package init(life: Life, record: JobRecord, members: [Member]) {
        (self.life, self.record, self.members) = (life, record, members)
    }

    package struct Member: Sendable {
        /// The file that serves the image, before anybody could write it.
        package let source: FileStatus
        /// What the last mount had saved when it ended; nil where it did not end in order.
        package let marks: JobExtents?
        package let opening: TwinReturn

        package init(source: FileStatus, marks: JobExtents?, opening: TwinReturn) {
            (self.source, self.marks, self.opening) = (source, marks, opening)
        }
    }

    /// The generation that the twins get. A worker that died while it was being raised may have got
    /// as far as the twins.
    var nextGeneration: Int {
        life == .worker
            ? record.next ?? record.generation : max(record.generation, record.next ?? 0) + 1
    }
}

/// A twin that was found and opened again.
package struct ReturnedTwin: Sendable {
    let parts: OpenTarget
    /// Of a file, as it was found.
    let status: FileStatus?
    /// Whether it says, or nothing else can be, that this life of the job wrote it last.
    let isOwn: Bool
    /// Its attribute says that the cut was done.
    let isCut: Bool
    /// Its attributes say that it is the image as it was then, seconds since 1970 (`Standstill`);
    /// else nil.
    let pastTime: Int?
    /// What its last writer had not flushed is durable now.
    let isFlushed: Bool
}
