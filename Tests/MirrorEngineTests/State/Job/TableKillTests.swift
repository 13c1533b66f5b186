import Foundation
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget
@testable import table_victim

/// A process that works on a kept table is killed wherever it happens to be.
@Suite struct TableKillTests {
    private static let kills = Bench.rounds(200)

    @Test func `whatever a killed process left different is dirty for its successor`() throws {
        let room = try Room()
        var random = SystemRandomNumberGenerator()
        var (different, clean) = (0, 0)
        for kill in 0..<Self.kills {
            let child = try ChildProcess(
                room.program, ["table-victim", room.table, room.world].map { Array($0.utf8) },
                inOwnGroup: true)
            // Some while they are still recovering the table.
            if kill % 4 > 0 {
                for _ in 0..<20_000 where !room.numbers.isReady { usleep(500) }
                try #require(room.numbers.isReady)
            }
            usleep(.random(in: 0..<8000, using: &random))
            child.killGroup()
            try #require(try child.wait() == .signalled(SIGKILL))
            room.numbers.isReady = false
            let found = try room.judge("kill \(kill)")
            different += found.different
            clean += found.clean
        }
        // It tells something only if both are there: what differed, and what was not dirty.
        #expect(different > Self.kills && clean > Self.kills)
    }

    /// The memory of a table, and the world it is about.
    private final class Room {
        let table: String
        let world: String
        let numbers: World
        private let memory: SharedMemory

        init() throws {
            let base =
                "/dev/shm/twinfs-victim-\(ThisProcess.id)-\(UInt32.random(in: 0...UInt32.max))"
            (table, world) = (base + ".table", base + ".world")
            memory = try Self.memory(table, TableMemory.size(granularity: World.granularity))
            numbers = World(try Self.memory(world, World.byteCount))
            DirtyTable(
                granularity: World.granularity, gauge: WriteGauge(), memory: TableMemory(memory)
            ).settle()
        }

        deinit { for path in [table, world] { unlink(path) } }

        private static func memory(_ path: String, _ size: Int) throws -> SharedMemory {
            let file = try FileDescriptor.open(
                path, .readWrite, options: [.create, .exclusiveCreate], permissions: .ownerReadWrite
            )
            try file.setSize(UInt64((size + 4095) / 4096 * 4096))
            return try SharedMemory(adopting: file)
        }

        /// Beside the tests' own program.
        var program: String {
            let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            return FilePath(own ?? "").removingLastComponent().appending("table-victim").string
        }

        /// What a successor makes of it. It is one: the next victim finds the memory as it leaves
        /// it.
        func judge(_ comment: String) throws -> (different: Int, clean: Int) {
            let table = try #require(
                DirtyTable(recovering: TableMemory(memory), gauge: WriteGauge()), "\(comment)")
            var isDirty = [Bool](repeating: false, count: World.granules)
            for extent in table.dirtyExtents(limit: .max) {
                for granule in World.granularity.granules(touching: extent) {
                    isDirty[granule] = true
                }
            }
            let different = isDirty.indices.filter {
                numbers.source[$0] != numbers.twin[$0]
            }
            let lost = different.filter { !isDirty[$0] }
            try #require(lost.isEmpty, "\(comment): \(lost)")
            let isSameLength = numbers.lengths[0] == numbers.lengths[1]
            try #require(isSameLength || table.isLengthDirty, "\(comment)")
            return (different.count, isDirty.count { !$0 })
        }
    }
}
