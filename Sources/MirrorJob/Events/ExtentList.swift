package import MirrorCore
import MirrorImage
import MirrorTarget

/// Extents as JSON, ascending, in bytes: `jobs/<id>/dirty`, and what a `sync=none` twin holds.
package struct ExtentList: Encodable {
    package struct Extent: Encodable {
        let start, length: UInt64
        /// The image, where the list is of several.
        let image: String?
    }

    package let granularity: Int
    package let extents: [Extent]

    package init(_ table: DirtyTable) {
        granularity = table.granularity.bytes
        extents = Self.extents(table, nil)
    }

    /// What differs in a job.
    package init(_ job: Job) {
        granularity = job.granularity.bytes
        extents = job.members.flatMap { member in
            Self.extents(member.table, job.members.count > 1 ? shown(member.image.path) : nil)
        }
    }

    private static func extents(_ table: DirtyTable, _ image: String?) -> [Extent] {
        table.dirtyExtents(limit: .max).map {
            Extent(start: $0.lowerBound, length: $0.count, image: image)
        }
    }
}
