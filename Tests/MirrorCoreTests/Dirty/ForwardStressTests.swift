import Dispatch
import Synchronization
import Testing

@testable import MirrorCore

extension StressTests {
    @Suite(.serialized, .timeLimit(.minutes(1))) struct ForwardStressTests {
        struct Scenario: Sendable {
            let writers: Int
            let writes: Int
            let rounds: Int
        }

        /// Every fourth writer writes in the background. Rounds of a write or two end while the
        /// copier falls asleep over a forward.
        @Test(arguments: [
            Scenario(writers: 4, writes: 40, rounds: 100),
            Scenario(writers: 4, writes: 1, rounds: 2500),
            Scenario(writers: 3, writes: 2, rounds: 1500),
        ])
        func `what is forwarded, copied and written behind agrees in the end`(
            _ scenario: Scenario
        ) throws {
            let rig = ForwardRig()
            let writers = (0..<scenario.writers).map { DispatchQueue(label: "writer \($0)") }
            let lanes = (0..<2).map { DispatchQueue(label: "lane \($0)") }
            let end = DispatchGroup()
            DispatchQueue(label: "copier").async(group: end) { rig.runCopier(lanes) }
            defer {
                rig.shouldStop.store(true, ordering: .relaxed)
                rig.mailbox.post()
                end.wait()
            }
            for round in 0..<scenario.rounds {
                let group = DispatchGroup()
                for (number, writer) in writers.enumerated() {
                    writer.async(group: group) {
                        rig.writeRound(number, round, writes: scenario.writes, group)
                    }
                }
                try #require(group.wait(timeout: .now() + 20) == .success, "a writer hangs")
                try judge(rig, round)
            }
            #expect(rig.forwards.load(ordering: .relaxed) > scenario.rounds)
        }

        /// Nobody writes any more. What is left is the copier's; when it sleeps, nothing may be
        /// left.
        private func judge(_ rig: ForwardRig, _ round: Int) throws {
            let deadline = ContinuousClock.now + .seconds(20)
            while !rig.mailbox.isQuiet {
                try #require(ContinuousClock.now < deadline, "the copier never sleeps")
                yieldThread()
            }
            try #require(
                rig.table.isInSync, "round \(round): the copier sleeps over dirty granules")
            try #require(rig.firstDifference == nil, "round \(round): source and twin differ")
            try #require(rig.clashes.load(ordering: .relaxed) == 0, "two writes of one byte")
        }

        @Test func `a drain loses no mark that comes meanwhile`() throws {
            let gauge = WriteGauge()
            let from = DirtyTable(granularity: .standard, gauge: gauge)
            let into = DirtyTable(granularity: .standard, gauge: gauge)
            let group = DispatchGroup()
            let places = 2000
            DispatchQueue(label: "marker").async(group: group) {
                for place in 0..<places {
                    let range = ByteRange(at: UInt64(place * 9 * 4096), count: 1)
                    gauge.enter(range)
                    _ = from.mark(range)
                    gauge.leave(range)
                }
            }
            while group.wait(timeout: .now()) != .success { from.drain(into: into) }
            from.drain(into: into)
            #expect(from.isInSync && from.pageCount == 0)
            #expect(into.dirtyExtents(limit: .max).count == places)
        }
    }
}
