package import Logging
package import MirrorCore
package import MirrorImage
import MirrorState
package import MirrorSystem

/// The tables of one member that outlive the worker.
package struct MemberTables: Sendable {
    package let table: DirtyTable
    /// Of a delta: what it holds.
    package let written: DirtyTable?
    /// What was written to the twin since the last flush began, and what that flush is to make
    /// durable.
    let unflushed: DirtyTable
    let flushing: DirtyTable
    /// Whether all are a predecessor's and have all of its marks.
    package let isWhole: Bool

    /// - Parameter keeper: nil where nothing is to outlive the worker.
    package init(
        _ uuid: String, _ index: Int, _ parameters: JobParameters, _ image: Image,
        _ keeper: (any Keeper)?, _ log: Logger
    ) {
        var isWhole = true
        func make(_ name: String, _ gauge: WriteGauge) -> DirtyTable {
            guard let keeper else {
                isWhole = false
                return DirtyTable(granularity: parameters.granularity, gauge: gauge)
            }
            let kept = DirtyTable.kept(
                name, granularity: parameters.granularity, gauge: gauge, keeper: keeper, log: log)
            isWhole = isWhole && kept.origin == .inherited
            return kept.table
        }
        table = make(JobRecord.table(uuid, index), image.gate.gauge)
        written =
            parameters.isDelta ? make(JobRecord.written(uuid, index), WriteGauge()) : nil
        unflushed = make(JobRecord.unflushed(uuid, index), WriteGauge())
        flushing = make(JobRecord.flushing(uuid, index), WriteGauge())
        self.isWhole = isWhole
    }

    /// The job is over: nobody needs them.
    package static func drop(_ uuid: String, _ count: Int, _ keeper: any Keeper) {
        for index in 0..<count {
            keeper.drop(JobRecord.table(uuid, index))
            keeper.drop(JobRecord.written(uuid, index))
            keeper.drop(JobRecord.unflushed(uuid, index))
            keeper.drop(JobRecord.flushing(uuid, index))
        }
    }
}
