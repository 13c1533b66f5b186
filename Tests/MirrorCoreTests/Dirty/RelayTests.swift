import Dispatch
import Glibc
import Synchronization
import Testing

@testable import MirrorCore

extension StressTests {
    /// R5 over several tables. One thread hands work on from place to place, and lets go of one
    /// only when it holds the next: there is no instant with nothing under way. Whoever asks must
    /// never be told *in sync*.
    @Suite(.serialized, .timeLimit(.minutes(1))) struct RelayTests {
        enum Kind: CaseIterable, Sendable {
            case forwards, forwardsAndClaims, claims, writesAndClaims, backgroundWrites,
                failedForwards
        }

        @Test(arguments: Kind.allCases, [1, 2])
        func `work handed on from hand to hand is never in sync`(_ kind: Kind, _ images: Int) throws
        {
            let relay = Relay(kind, images: images)
            let group = DispatchGroup()
            DispatchQueue(label: "relay").async(group: group) {
                relay.run(for: .milliseconds(images == 1 ? 400 : 1600))
            }
            var looks = 0
            while !relay.isOver.load(ordering: .acquiring) {
                let said = DirtyTable.areInSync(relay.tables)
                // What the answer is about lies before the end.
                if said, !relay.isOver.load(ordering: .acquiring) {
                    group.wait()
                    Issue.record("in sync after \(looks) looks")
                    return
                }
                looks += 1
            }
            group.wait()
            // Sanitized, beside all other tests, it comes to few.
            #expect(looks > (dlsym(nil, "__tsan_init") == nil ? 1000 : 100))
            #expect(DirtyTable.areInSync(relay.tables))
        }
    }
}

private final class Relay: Sendable {
    let tables: [DirtyTable]
    let isOver = Atomic<Bool>(false)
    private let kind: StressTests.RelayTests.Kind
    private let gauges: [WriteGauge]
    /// Idle images between the two and behind: they keep a reader on its way from each to the next.
    private static let idleImages = 200

    init(_ kind: StressTests.RelayTests.Kind, images: Int) {
        self.kind = kind
        let count = images == 1 ? 1 : images + Self.idleImages
        let gauges = (0..<count).map { _ in WriteGauge() }
        self.gauges = gauges
        tables = gauges.map { DirtyTable(granularity: .standard, gauge: $0) }
        begin(place(0), 0)
    }

    /// Two places, in two images or far apart in one.
    private struct Place {
        let table: DirtyTable
        let gauge: WriteGauge
        let range: ByteRange
        var granule: Int { Int(range.lowerBound) / 4096 }
    }

    private func place(_ number: Int) -> Place {
        let index = number == 0 ? 0 : tables.count / 2
        return Place(
            table: tables[index], gauge: gauges[index],
            range: ByteRange(at: UInt64(number) * 63 << 27, count: 512))
    }

    func run(for time: Duration) {
        let end = ContinuousClock.now + time
        let places = [place(0), place(1)]
        var turn = 0
        var random = SeededGenerator(seed: 1)
        while ContinuousClock.now < end {
            for _ in 0..<16 {
                dwell(&random)
                handOn(from: places[turn % 2], to: places[(turn + 1) % 2], turn)
                turn += 1
            }
        }
        // Said before the last one ends.
        isOver.store(true, ordering: .sequentiallyConsistent)
        finish(places[turn % 2], turn)
        while let extent = takeAny() { extent.0.release(extent.1) }
    }

    /// Holds one place alone for a while, sometimes long and sometimes short, so that a reader
    /// meets every gap.
    private func dwell(_ random: inout SeededGenerator) {
        let most = UInt64(1) << (5 + random.next() % 9)
        for _ in 0..<random.next() % most { _ = isOver.load(ordering: .relaxed) }
    }

    private func handOn(from old: Place, to new: Place, _ turn: Int) {
        switch kind {
        case .writesAndClaims where turn % 2 == 0:
            begin(new, turn + 1)
            finish(old, turn)
            old.table.release(old.table.takeExtent(from: old.granule, limit: 1)!)
        case .backgroundWrites, .failedForwards:
            // The old place stays dirty when its write is over, until the new one has begun.
            finish(old, turn)
            begin(new, turn + 1)
            old.table.release(old.table.takeExtent(from: old.granule, limit: 1)!)
        default:
            begin(new, turn + 1)
            finish(old, turn)
        }
    }

    private func begin(_ place: Place, _ turn: Int) {
        switch kind {
        case .forwardsAndClaims where turn % 2 == 0, .writesAndClaims where turn % 2 == 1, .claims:
            place.table.markUncounted(place.range)
            precondition(place.table.takeExtent(from: place.granule, limit: 1) != nil)
        case .backgroundWrites, .writesAndClaims:
            place.gauge.enter(place.range)
        case .failedForwards:
            forward(place)
        default:
            place.gauge.enter(place.range)
            forward(place)
        }
    }

    private func finish(_ place: Place, _ turn: Int) {
        switch kind {
        case .forwardsAndClaims where turn % 2 == 0, .writesAndClaims where turn % 2 == 1, .claims:
            place.table.release(place.granule..<place.granule + 1)
        case .backgroundWrites, .writesAndClaims:
            _ = place.table.mark(place.range)
            place.gauge.leave(place.range)
        case .failedForwards:
            _ = place.table.failForward(place.range)
        default:
            _ = place.table.endForward(place.range)
            place.gauge.leave(place.range)
        }
    }

    private func forward(_ place: Place) {
        var pieces: [ByteRange] = []
        place.table.beginForward(place.range, into: &pieces)
        precondition(pieces == [place.range])
    }

    private func takeAny() -> (DirtyTable, Range<Int>)? {
        for table in tables {
            if let extent = table.takeExtent(from: 0, limit: 1) { return (table, extent) }
        }
        return nil
    }
}
