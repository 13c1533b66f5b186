import Logging
import MirrorCore
import MirrorSystem

/// The tables of one member that outlive the worker.
struct MemberTables: Sendable {
    let table: DirtyTable
    /// Of a delta: what it holds.
    let written: DirtyTable?
    /// Whether the table is a predecessor's and has all of its marks.
    let isWhole: Bool

    /// - Parameter keeper: nil where nothing is to outlive the worker.
    init(
        _ uuid: String, _ index: Int, _ parameters: JobParameters, _ image: Image,
        _ keeper: (any Keeper)?, _ log: Logger
    ) {
        let granularity = parameters.granularity
        guard let keeper else {
            table = DirtyTable(granularity: granularity, gauge: image.gate.gauge)
            written =
                parameters.isDelta
                ? DirtyTable(granularity: granularity, gauge: WriteGauge()) : nil
            isWhole = false
            return
        }
        let kept = DirtyTable.kept(
            JobRecord.table(uuid, index), granularity: granularity, gauge: image.gate.gauge,
            keeper: keeper, log: log)
        let list =
            parameters.isDelta
            ? DirtyTable.kept(
                JobRecord.written(uuid, index), granularity: granularity, gauge: WriteGauge(),
                keeper: keeper, log: log) : nil
        (table, written) = (kept.table, list?.table)
        isWhole = kept.origin == .inherited && (list.map { $0.origin == .inherited } ?? true)
    }

    /// The job is over: nobody needs them.
    static func drop(_ uuid: String, _ count: Int, _ keeper: any Keeper) {
        for index in 0..<count {
            keeper.drop(JobRecord.table(uuid, index))
            keeper.drop(JobRecord.written(uuid, index))
        }
    }
}
