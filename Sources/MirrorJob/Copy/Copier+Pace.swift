import Dispatch
import MirrorCore
import MirrorImage
import SystemPackage

// On the job's queue: `pace=guest`. While something is copied, guests' requests are timed and the
// copier's rate follows (`Pacer`). A hold is never slowed down: the guest waits for its end.

/// What a job knows of the guest's latency.
struct Pace {
    /// Nil with `pace=full`.
    var pacer: Pacer?
    /// What the pacer allows, beside the ceiling of `speed`.
    var limit = RateLimit(bytesPerSecond: 0)
    var minSpeed: Int
    /// Bytes of all batches that were started.
    var started = 0

    /// Requests are being timed.
    var isSampling = false
    fileprivate var last = Sample()

    fileprivate struct Sample {
        var instant = ContinuousClock.now
        var loads: [LatencyMeter.Load] = []
        var started = 0
    }

    init(_ parameters: JobParameters) {
        minSpeed = parameters.minSpeed
        pacer = parameters.pace == .guest ? Pacer(minSpeed: parameters.minSpeed) : nil
    }

    mutating func set(_ pace: JobParameters.Pace) {
        if pace == .full { pacer = nil }
        if pace == .guest, pacer == nil { pacer = Pacer(minSpeed: minSpeed) }
        limit.set(0)
    }

    mutating func set(minSpeed: Int) {
        self.minSpeed = minSpeed
        pacer?.minSpeed = minSpeed
    }
}

extension Copier {
    private static let paceWindow = DispatchTimeInterval.milliseconds(100)

    /// Whether the guest's latency decides how fast is copied.
    var sparesGuest: Bool { pace.pacer != nil }

    /// Begins to time requests as soon as something is copied.
    func armPace() {
        guard pace.pacer != nil, !pace.isSampling, job.machine.mayCopy, job.underWay.isCopying
        else { return }
        pace.isSampling = true
        for member in job.members { member.image.timer.beginUse() }
        pace.last = paceSample()
        samplePaceLater()
    }

    private func samplePaceLater() {
        job.queue.asyncAfter(deadline: .now() + Self.paceWindow) { [job = job] in
            job.copier.samplePace()
        }
    }

    private func samplePace() {
        let sample = paceSample()
        let window = paceWindow(pace.last, sample)
        pace.last = sample
        let goesOn =
            pace.pacer != nil && job.machine.mayCopy
            && (job.underWay.isCopying || window.copied > 0)
        guard goesOn else { return endPace() }
        if !job.machine.isHolding { pace.pacer?.take(window) }
        follow(pace.pacer?.bytesPerSecond)
        samplePaceLater()
    }

    private func endPace() {
        pace.isSampling = false
        pace.pacer?.rest()
        for member in job.members { member.image.timer.endUse() }
        follow(nil)
    }

    /// Takes over what the pacer allows; who waits for less than that looks again.
    private func follow(_ bytesPerSecond: Int?) {
        let rate = bytesPerSecond ?? 0
        guard rate != pace.limit.bytesPerSecond else { return }
        pace.limit.change(rate)
        endThrottle()
        job.advance()
    }

    private func paceSample() -> Pace.Sample {
        var sample = Pace.Sample()
        sample.loads = LatencyMeter.Kind.allCases.map { _ in .init() }
        for member in job.members {
            for (kind, load) in member.image.timer.meter.loads.enumerated() {
                sample.loads[kind].count += load.count
                sample.loads[kind].nanoseconds += load.nanoseconds
            }
        }
        sample.started = pace.started
        return sample
    }

    private func paceWindow(_ from: Pace.Sample, _ to: Pace.Sample) -> Pacer.Window {
        let loads = zip(from.loads, to.loads).map { from, to in
            LatencyMeter.Load(
                count: to.count - from.count, nanoseconds: to.nanoseconds - from.nanoseconds)
        }
        return .init(
            seconds: (to.instant - from.instant) / .seconds(1), loads: loads,
            copied: to.started - from.started)
    }
}
