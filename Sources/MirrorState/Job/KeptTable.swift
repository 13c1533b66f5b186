package import Logging
package import MirrorCore
package import MirrorSystem
import SystemPackage

extension DirtyTable {
    /// What a kept table begins with.
    package enum Origin: Sendable {
        /// Nothing: nobody had one of that name.
        case new
        /// What a predecessor had marked, and what it had under way: nothing is missing.
        case inherited
        /// Nothing, and a predecessor's marks are lost: everything is to be marked (R10).
        case doubtful
    }

    /// The table that is kept under `name` for this worker's successors: a predecessor's, or a new
    /// one.
    ///
    /// A new one is believed by a successor once `settle` was called: when all is marked that has
    /// to be at first. Where there is no memory for it, it ends with the process.
    ///
    /// - Parameter owner: whose marks these are: another's are not inherited. The image's inode
    ///   number, say.
    package static func kept(
        _ name: String, granularity: Granularity, gauge: WriteGauge, keeper: any Keeper,
        log: Logger, owner: UInt64 = 0
    ) -> (table: DirtyTable, origin: Origin) {
        var origin = Origin.new
        if let file = keeper.inherited(name) {
            if let memory = try? SharedMemory(adopting: file),
                let table = DirtyTable(
                    recovering: TableMemory(memory), gauge: gauge, owner: owner),
                table.granularity == granularity
            {
                return (table, .inherited)
            }
            log.warning("\(name): cannot be used; everything counts as changed")
            origin = .doubtful
        }
        do throws(Errno) {
            let memory = try SharedMemory(count: TableMemory.size(granularity: granularity))
            let table = DirtyTable(
                granularity: granularity, gauge: gauge, memory: TableMemory(memory),
                owner: owner)
            keeper.keep(memory.descriptor, as: name)
            return (table, origin)
        } catch {
            log.warning("\(name): no memory that outlives this process: \(error)")
            keeper.drop(name)
            return (DirtyTable(granularity: granularity, gauge: gauge), origin)
        }
    }
}

extension TableMemory {
    package init(_ memory: SharedMemory) {
        self.init(
            memory.bytes, giveBack: { memory.giveBack(at: $0, count: $1) },
            nextTouched: { memory.nextTouched(from: $0) })
    }
}
