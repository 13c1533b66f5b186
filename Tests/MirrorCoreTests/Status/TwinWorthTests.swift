import Testing

@testable import MirrorCore

@Suite struct TwinWorthTests {
    private func worth(
        _ phase: JobMachine.Phase, wasReady: Bool = true, isDelta: Bool = false,
        agrees: Bool = false, isPastState: Bool = false
    ) -> TwinWorth {
        TwinWorth(
            .init(
                phase: phase, wasReady: wasReady, isDelta: isDelta, agrees: agrees,
                isPastState: isPastState))
    }

    @Test func `a twin is worth what phase, agreement and standstill say`() {
        #expect(worth(.bulk, wasReady: false, agrees: true) == .inconsistent)
        #expect(worth(.ready) == .inconsistent)
        #expect(worth(.ready, agrees: true) == .synced)
        #expect(worth(.ready, agrees: true, isPastState: true) == .synced)
        #expect(worth(.ready, isPastState: true) == .outdated)
        #expect(worth(.completing, isPastState: true) == .outdated)
        #expect(worth(.completed) == .consistent)
        #expect(worth(.cancelled) == .inconsistent)
        #expect(worth(.cancelled, agrees: true, isPastState: true) == .outdated)
        #expect(worth(.ready, isDelta: true, isPastState: true) == .partial)
        #expect(worth(.bulk, wasReady: false, isDelta: true) == .inconsistent)
    }

    @Test func `a standstill is a past state only from the durable word on until it is taken back`()
    {
        var standstill = Standstill()
        var stops = standstill.stop()
        var instant = standstill.say()
        #expect(!stops && instant == nil)
        standstill.agreed(at: 5)
        stops = standstill.stop()
        let stopsAgain = standstill.stop()
        #expect(stops && !stopsAgain)
        instant = standstill.say()
        #expect(instant == nil && standstill.time == nil)
        standstill.flushed()
        instant = standstill.say()
        #expect(instant == 5 && standstill.isSaid && standstill.time == nil)
        standstill.said(true)
        standstill.agreed(at: 9)
        #expect(standstill.time == 5)
        standstill.takenBack()
        #expect(standstill.time == nil && !standstill.isSaid)
        standstill.forget()
        stops = standstill.stop()
        #expect(!stops)
        standstill.found(at: 7, isProven: true)
        standstill.forget()
        #expect(standstill.time == nil && standstill.isSaid)
    }

    @Test func `dates are those of the calendar`() {
        let dates = [
            (0, "1970-01-01 00:00:00 UTC"), (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"), (1_796_017_212, "2026-11-30 05:40:12 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ]
        for (seconds, text) in dates { #expect(StatusText.date(seconds) == text) }
    }
}
