/// `pace=guest`: how fast the copier may be without hurting the guest.
///
/// It compares how long the guest's requests spend at the source with how long they would with the
/// copier quiet, the *baseline*, and moves the rate by that: half of it where they take more than
/// `tolerance` times as long, a step up where they do not. So the rate swings around what the disk
/// has to spare.
///
/// ```
///          guest seen                    measured
/// idle ──────────────▶ probing ────────────────────▶ pacing
///   ▲  as fast as it can   at the floor   ▲             │ rate moves
///   │                                     └─────────────┤ old baseline, or three halvings
///   └───────────────────────────────────────────────────┘ no request for `patience` windows
/// ```
///
/// The baseline is learned while the copier is at its floor: first of all, then now and then, and
/// again when halving did not help (then the guest itself asks for more than it did). A request
/// that was faster than the baseline beside a working copier lowers it: copying makes no request
/// faster.
///
/// Times and shares are chosen, and tried on the model in `PacerTests`.
public struct Pacer: Sendable {
    /// Requests may take so many times as long as with the copier quiet.
    static let tolerance = 1.3
    /// What a request costs on its way to the daemon and back, in nanoseconds. It belongs to the
    /// latency that the guest sees, and cannot be timed here.
    static let overhead = 40_000.0
    /// Where no `min-speed` is given: every job goes on, if slowly. Bytes a second.
    public static let smallestFloor = 1 << 20
    /// Windows without a request after which the guest counts as idle.
    static let patience = 3
    /// A window with fewer requests is looked at together with the next ones.
    static let fewest = 8
    /// Windows that a probe measures, after one in which what was under way ends.
    static let probeWindows = 2
    /// Windows from one probe to the next.
    static let probeInterval = 100

    /// What happened in one window of about 100 ms.
    public struct Window: Sendable {
        public var seconds: Double
        /// The guest's requests, by `LatencyMeter.Kind`.
        public var loads: [LatencyMeter.Load]
        /// Bytes that the copier began to copy.
        public var copied: Int

        public init(seconds: Double, loads: [LatencyMeter.Load], copied: Int) {
            (self.seconds, self.loads, self.copied) = (seconds, loads, copied)
        }

        /// Bytes a second.
        var speed: Double { Double(copied) / max(seconds, 0.001) }
        var requests: Int { loads.reduce(0) { $0 + $1.count } }

        mutating func add(_ other: Window) {
            seconds += other.seconds
            copied += other.copied
            for (kind, load) in other.loads.enumerated() {
                loads[kind].count += load.count
                loads[kind].nanoseconds += load.nanoseconds
            }
        }
    }

    private enum State {
        case idle
        case probing(windows: Int)
        case pacing
    }

    /// Bytes a second; 0 is none. Whatever the guest's latency, the copier may be as fast.
    public var minSpeed: Int
    private var state = State.idle
    /// What pacing allows, also while a probe or an idle guest sets it aside.
    private var rate: Double?
    /// The fastest that the copier was.
    private var best = Double(smallestFloor)
    /// Nanoseconds for each kind of request with the copier quiet; nil where none was seen.
    private var baseline = [Double?](repeating: nil, count: LatencyMeter.Kind.allCases.count)
    private var emptyWindows = 0
    private var windowsSinceProbe = 0
    private var halvings = 0
    /// The next window still sees what was allowed before the rate moved.
    private var isSettling = false
    /// Windows that had too few requests to judge by, as one.
    private var pending: Window?

    public init(minSpeed: Int) { self.minSpeed = minSpeed }

    private var floor: Double { Double(minSpeed > 0 ? minSpeed : Self.smallestFloor) }

    /// Bytes a second that the copier may copy now; nil: as fast as it can.
    public var bytesPerSecond: Int? {
        switch state {
        case .idle: nil
        case .probing: Self.whole(floor)
        case .pacing: rate.map { Self.whole(max($0, floor)) }
        }
    }

    /// What no disk reaches is no limit.
    private static func whole(_ rate: Double) -> Int { Int(min(rate, 0x1p60)) }

    /// The copier sleeps: what comes next is another load.
    public mutating func rest() {
        state = .idle
        pending = nil
    }

    public mutating func take(_ window: Window) {
        if window.requests == 0 { return passEmpty(window) }
        emptyWindows = 0
        switch state {
        case .idle: leaveIdle(window)
        case .probing(let windows): probe(window, windows)
        case .pacing: pace(window)
        }
    }
}

extension Pacer {
    private mutating func passEmpty(_ window: Window) {
        emptyWindows += 1
        if emptyWindows >= Self.patience { rest() }
        if case .idle = state { best = max(best, window.speed) }
    }

    private mutating func leaveIdle(_ window: Window) {
        best = max(best, window.speed)
        state = .pacing
        if baseline.allSatisfy({ $0 == nil }) { startProbe() }
    }

    private mutating func startProbe() {
        state = .probing(windows: 0)
        (windowsSinceProbe, halvings, pending) = (0, 0, nil)
    }

    /// The first window of a probe is passed over.
    private mutating func probe(_ window: Window, _ windows: Int) {
        if windows > 0 { add(window) }
        let isEnough = windows >= Self.probeWindows && pending?.requests ?? 0 >= Self.fewest
        guard isEnough || windows >= 3 * Self.probeWindows else {
            state = .probing(windows: windows + 1)
            return
        }
        if let pending { learn(pending, weight: 0.5) }
        pending = nil
        isSettling = true
        state = .pacing
    }

    private mutating func pace(_ window: Window) {
        best = max(best, window.speed)
        windowsSinceProbe += 1
        if isSettling {
            isSettling = false
            return
        }
        add(window)
        guard let seen = pending, seen.requests >= Self.fewest else { return }
        pending = nil
        // At the floor the copier is as quiet as it gets: what the guest sees is what it always
        // would.
        if let rate, rate <= floor { learn(seen, weight: 0.25) }
        judge(seen)
        if windowsSinceProbe >= Self.probeInterval || halvings >= 3 { startProbe() }
    }

    private mutating func judge(_ seen: Window) {
        guard slowdown(seen) > Self.tolerance else { return faster(seen) }
        // Somebody else's fault.
        if seen.copied == 0 { return }
        // A rate far above what is used up would have to be halved often before it shows.
        rate = max(floor, min(rate ?? .infinity, 2 * seen.speed) / 2)
        halvings += 1
        isSettling = true
    }

    private mutating func faster(_ seen: Window) {
        halvings = 0
        learnFaster(seen)
        // A rate that is not used up says nothing of a higher one.
        guard let rate, rate < 2 * max(seen.speed, floor) else { return }
        self.rate = rate + max(best / 32, floor / 4)
    }

    private mutating func add(_ window: Window) {
        if pending == nil { pending = window } else { pending?.add(window) }
    }
}

// The baseline.

extension Pacer {
    /// How many times as long the requests took as they would with the copier quiet, the way to the
    /// daemon and back included. Kinds of which that is not known are left out.
    private func slowdown(_ seen: Window) -> Double {
        var (spent, expected) = (0.0, 0.0)
        for (load, usual) in zip(seen.loads, baseline) {
            guard let usual else { continue }
            spent += Double(load.nanoseconds) + Double(load.count) * Self.overhead
            expected += Double(load.count) * (usual + Self.overhead)
        }
        return expected > 0 ? spent / expected : 1
    }

    private mutating func learn(_ seen: Window, weight: Double) {
        for (kind, load) in seen.loads.enumerated() where load.count > 0 {
            let mean = Double(load.nanoseconds) / Double(load.count)
            baseline[kind] = baseline[kind].map { $0 + (mean - $0) * weight } ?? mean
        }
    }

    /// What is known too slow becomes faster; a kind that was never seen in a probe begins with
    /// what it is now, until the next one.
    private mutating func learnFaster(_ seen: Window) {
        for (kind, load) in seen.loads.enumerated() where load.count > 0 {
            let mean = Double(load.nanoseconds) / Double(load.count)
            guard let usual = baseline[kind] else {
                baseline[kind] = mean
                continue
            }
            if mean < usual { baseline[kind] = usual + (mean - usual) / 8 }
        }
    }
}
