import Testing

@testable import MirrorCore

/// A disk with a queue, a guest that always has so many requests under way, and a copier that
/// copies as fast as it may.
private struct Disk {
    /// Bytes a second, for guest and copier together.
    let capacity = 200e6
    var depth = 4
    var pacer: Pacer
    private var random = 0x2545_F491_4F6C_DD1D as UInt64

    init(minSpeed: Int = 0) { pacer = Pacer(minSpeed: minSpeed) }

    /// How many times as long as alone the guest's requests take beside so much copying.
    func slowdown(_ speed: Double) -> Double { 1 / (1 - min(0.98, speed / capacity)) }

    /// Copies for `seconds`; the mean slowdown and the mean speed over the last half of them.
    mutating func run(seconds: Int, requests: Int? = nil) -> (slowdown: Double, speed: Double) {
        var (slow, sum, count) = (0.0, 0.0, 0)
        for window in 0..<seconds * 10 {
            let speed = min(capacity, pacer.bytesPerSecond.map(Double.init) ?? capacity)
            let slowdown = slowdown(speed)
            pass(speed, slowdown, requests)
            guard window >= seconds * 5 else { continue }
            (slow, sum, count) = (slow + slowdown, sum + speed, count + 1)
        }
        return (slow / Double(count), sum / Double(count))
    }

    private mutating func pass(_ speed: Double, _ slowdown: Double, _ requests: Int?) {
        // A request of an undisturbed guest takes a millisecond for each one that is under way; a
        // tenth of that is noise.
        let noise = 0.95 + Double(next() % 100) / 1000
        let time = Double(depth) * 1e6 * slowdown * noise
        let done = requests ?? Int(Double(depth) * 1e8 / time)
        var loads = LatencyMeter.Kind.allCases.map { _ in LatencyMeter.Load() }
        loads[LatencyMeter.Kind.smallWrite.rawValue] = .init(
            count: done, nanoseconds: Int(time) * done)
        pacer.take(.init(seconds: 0.1, loads: loads, copied: Int(speed / 10)))
    }

    private mutating func next() -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random
    }
}

@Suite struct PacerTests {
    @Test func `a busy guest keeps its latency, and the copier gets what the disk has to spare`() {
        var disk = Disk()
        let (slowdown, speed) = disk.run(seconds: 60)
        #expect(slowdown < 1.3)
        #expect(speed > 0.08 * disk.capacity)
    }

    @Test func `without requests the copier is not limited, at the start and later`() {
        var disk = Disk()
        #expect(disk.run(seconds: 10, requests: 0).speed == disk.capacity)
        #expect(disk.run(seconds: 20).speed < disk.capacity / 2)
        #expect(disk.pacer.bytesPerSecond != nil)
        #expect(disk.run(seconds: 2, requests: 0).speed == disk.capacity)
        #expect(disk.pacer.bytesPerSecond == nil)
    }

    @Test(arguments: [0, 5 << 20, 150_000_000])
    func `the copier is never slower than the floor`(minSpeed: Int) {
        var disk = Disk(minSpeed: minSpeed)
        for second in 0..<60 {
            // A guest whose requests take longer and longer, whatever the copier does.
            disk.depth = 1 + second
            _ = disk.run(seconds: 1)
            let rate = disk.pacer.bytesPerSecond ?? .max
            #expect(rate >= max(minSpeed, Pacer.smallestFloor))
        }
    }

    @Test func `a guest that asks for more than before is not mistaken for one that is hurt`() {
        var disk = Disk()
        let before = disk.run(seconds: 30).speed
        disk.depth = 32
        let (slowdown, speed) = disk.run(seconds: 60)
        #expect(slowdown < 1.3)
        #expect(speed > before / 2)
    }

    @Test func `a guest that asks for less than before is protected again after a while`() {
        var disk = Disk()
        disk.depth = 32
        _ = disk.run(seconds: 30)
        disk.depth = 1
        #expect(disk.run(seconds: 60).slowdown < 1.3)
    }

    @Test func `a guest that copying does not hurt is no reason to be slow`() {
        var pacer = Pacer(minSpeed: 0)
        var copied = 0
        for _ in 0..<600 {
            var loads = LatencyMeter.Kind.allCases.map { _ in LatencyMeter.Load() }
            loads[LatencyMeter.Kind.smallRead.rawValue] = .init(count: 50, nanoseconds: 5_000_000)
            let speed = min(pacer.bytesPerSecond ?? 100_000_000, 100_000_000)
            copied += speed / 10
            pacer.take(.init(seconds: 0.1, loads: loads, copied: speed / 10))
        }
        #expect(copied > 5_400_000_000)
    }

    @Test func `what the meter counts is what the threads gave it`() async {
        let meter = LatencyMeter()
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    for index in 0..<1000 {
                        meter.add(.read(4096), from: 1, to: 101)
                        meter.add(.write(1 << 20), from: index, to: index + thread)
                    }
                }
            }
        }
        let loads = meter.loads
        #expect(
            loads[LatencyMeter.Kind.smallRead.rawValue] == .init(count: 4000, nanoseconds: 400_000))
        #expect(
            loads[LatencyMeter.Kind.largeWrite.rawValue] == .init(count: 4000, nanoseconds: 6000))
        #expect(loads[LatencyMeter.Kind.flush.rawValue] == .init())
    }

    @Test func `what is owed to a limit is owed in time when it changes`() {
        var limit = RateLimit(bytesPerSecond: 1000)
        #expect(limit.wait(at: .zero) == nil)
        limit.spend(1100)
        let owed = limit.wait(at: .zero)!
        limit.change(10)
        let later = limit.wait(at: .zero)!
        #expect(abs((later - owed) / .seconds(1)) < 0.01)
        limit.change(0)
        #expect(limit.wait(at: .zero) == nil)
    }

    @Test func `a floor beyond every disk is no limit`() {
        var disk = Disk(minSpeed: .max)
        #expect(disk.run(seconds: 4).speed == disk.capacity)
    }
}
