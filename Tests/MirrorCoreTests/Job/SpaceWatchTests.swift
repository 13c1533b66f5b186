import Testing

@testable import MirrorCore

@Suite struct SpaceWatchTests {
    private let reserve = 16 << 20

    /// A job that has `needed` bytes to write into `available`, looking when it must; how much is
    /// left when it stops or is done.
    private func run(_ watch: inout SpaceWatch, available: Int, needed: Int) -> (
        left: Int, stopped: Bool
    ) {
        var (now, written, looks) = (Duration.zero, 0, 0)
        while written < needed {
            if watch.mustWait(at: now, written: written) || watch.isDue(at: now, written: written) {
                looks += 1
                let isShort = watch.looked(
                    at: now, available: available - written, needed: needed - written,
                    written: written)
                if isShort { return (available - written, true) }
            }
            #expect(!watch.mustWait(at: now, written: written))
            written += 1 << 18
            now += .milliseconds(1)
        }
        #expect(looks < 40 + needed >> 20)
        return (available - written, false)
    }

    @Test func `a job stops before the filesystem of its twin is full`() {
        for (available, needed) in [(100, 200), (20, 1000), (17, 17), (5, 300), (1000, 1001)] {
            var watch = SpaceWatch(bufferSize: 1 << 20)
            let (left, stopped) = run(&watch, available: available << 20, needed: needed << 20)
            #expect(stopped && left >= min(available << 20, reserve - SpaceWatch.brim))
        }
    }

    @Test func `the watch on space lets through what fits`() {
        for (available, needed) in [(100, 50), (100, 96), (12, 8), (1000, 3)] {
            var watch = SpaceWatch(bufferSize: 1 << 20)
            let isStopped = run(&watch, available: available << 20, needed: needed << 20).stopped
            #expect(!isStopped)
        }
    }

    @Test func `the watch on space looks once a second while there is room for the buffer`() {
        var watch = SpaceWatch(bufferSize: 1 << 20)
        #expect(watch.mustWait(at: .zero, written: 0))
        let isShort = watch.looked(at: .zero, available: 1 << 40, needed: 1 << 30, written: 0)
        #expect(!isShort)
        #expect(!watch.isDue(at: .milliseconds(999), written: 1 << 30))
        #expect(watch.isDue(at: .seconds(1), written: 1))
        #expect(!watch.mustWait(at: .seconds(5), written: 1 << 30))
        watch.rest()
        #expect(watch.mustWait(at: .seconds(5), written: 1 << 30))
        #expect(!watch.mustWait(at: .milliseconds(500), written: 1 << 30))
    }

    @Test func `the watch on space lets a resumed job go on until there was room again`() {
        var watch = SpaceWatch(bufferSize: 1 << 20)
        func looks(at second: Int, available: Int) -> Bool {
            watch.looked(at: .seconds(second), available: available, needed: 1 << 30, written: 9)
        }
        var isShort = [looks(at: 0, available: 2 << 20)]
        watch.waive()
        #expect(!watch.mustWait(at: .seconds(9), written: 1 << 40))
        for available in [1, 20 << 20, 2 << 20, 64 << 20, 2 << 20] {
            isShort.append(looks(at: isShort.count, available: available))
        }
        #expect(isShort == [true, false, false, false, false, true])
    }

    @Test func `a job with a larger buffer needs a larger reserve of space`() {
        var watch = SpaceWatch(bufferSize: 64 << 20)
        let isShort = watch.looked(at: .zero, available: 60 << 20, needed: 1 << 30, written: 0)
        #expect(isShort)
    }
}
