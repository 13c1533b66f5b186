import MirrorCore

/// Extents as JSON, ascending, in bytes: `jobs/<id>/dirty`, and what a `sync=none` twin holds.
struct ExtentList: Encodable {
    struct Extent: Encodable { let start, length: UInt64 }

    let granularity: Int
    let extents: [Extent]

    init(_ table: DirtyTable) {
        granularity = table.granularity.bytes
        extents = table.dirtyExtents(limit: .max).map {
            Extent(start: $0.lowerBound, length: $0.count)
        }
    }
}
