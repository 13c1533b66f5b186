import Dispatch
import Glibc
import Synchronization
import Testing

@testable import MirrorCore

func yieldThread() { sched_yield() }

/// One after the other: each wants both processors of a small machine.
@Suite(.serialized) enum StressTests {}

extension StressTests {
    @Suite(.serialized, .timeLimit(.minutes(1))) struct DirtyTableStressTests {
        static let scenarios: [StressRig.Scenario] = [
            .init(granularity: 1 << 20),
            .init(granularity: 1 << 20, givesPagesBack: true, width: 4),
            .init(granularity: 65536, givesPagesBack: false),
            .init(granularity: 4096, width: 130),
            .init(granularity: 1 << 20, startsFull: true),
            .init(granularity: 64 << 20, givesPagesBack: true),
            // Rounds of a write or two: the copier is about to fall asleep when they come.
            .init(granularity: 4096, writers: 2, width: 4, rounds: 2500, writes: 1),
            .init(granularity: 1 << 20, writers: 3, width: 100, rounds: 1500, writes: 2),
        ]

        @Test(arguments: scenarios)
        func `no update is lost, and no wake, while writers and copier race`(
            _ scenario: StressRig.Scenario
        ) throws {
            let rig = StressRig(scenario)
            let writers = (0..<scenario.writers).map { DispatchQueue(label: "writer \($0)") }
            let lanes = (0..<3).map { DispatchQueue(label: "lane \($0)") }
            let copier = DispatchQueue(label: "copier")
            let end = DispatchGroup()
            copier.async(group: end) { rig.runCopier(lanes) }
            defer {
                rig.shouldStop.store(true, ordering: .relaxed)
                rig.mailbox.post()
                end.wait()
            }
            for round in 0..<scenario.rounds {
                if scenario.startsFull { rig.fillShards() }
                let group = DispatchGroup()
                for (number, writer) in writers.enumerated() {
                    writer.async(group: group) { rig.writeRound(number, round) }
                }
                try #require(group.wait(timeout: .now() + 20) == .success, "a writer hangs")
                try judge(rig, round)
            }
        }

        /// The writers have finished. What is left is the copier's; when it sleeps, nothing may be
        /// left.
        private func judge(_ rig: StressRig, _ round: Int) throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while !rig.mailbox.isQuiet {
                try #require(ContinuousClock.now < deadline, "the copier never sleeps")
                sched_yield()
            }
            try #require(
                rig.table.isInSync, "round \(round): the copier sleeps over dirty granules")
            try #require(rig.firstDifference == nil, "round \(round): an update was lost")
            try #require(rig.clashes.load(ordering: .relaxed) == 0, "two copies of one granule")
            try #require(rig.table.takeExtent(from: 0, limit: 1) == nil)
            if rig.scenario.givesPagesBack == true { checkPagesComeBack(rig.table) }
        }

        /// A page whose last extent was taken while a writer was near stays; the next taker gives
        /// it back.
        private func checkPagesComeBack(_ table: DirtyTable) {
            for shard: UInt64 in [0, 1, 64, 65, 4095, 4096] {
                table.markUncounted(ByteRange(at: shard << 27, count: 1))
            }
            table.forgetAll(from: 0)
            #expect(table.pageCount == 0)
        }
    }
}
