import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

/// Whether guest writes go to the twins at once: as `copy-mode` asks, and as far as the target
/// keeps up.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class Forwarding: @unchecked Sendable {
    unowned let job: Job
    /// A forwarded write took too long: background, until `copy-mode` is set again.
    private(set) var isFallenBack = false
    private var copyModeControl = CopyModeControl()
    private var isWatchingForwards = false
    private var isWatchingConvergence = false
    /// Bytes that guests had written to the tables or to the twins at the last sample.
    private var lastForwarded = 0

    init(_ job: Job) { self.job = job }

    /// The user has set `copy-mode`: what was learned under the other one is forgotten.
    func startAnew() { (isFallenBack, copyModeControl) = (false, CopyModeControl()) }

    /// Makes the member's forwarder; it forwards nothing yet. A delta has none: a part of a granule
    /// forwarded there would leave the rest of it unknown.
    func makeForwarder(_ member: Member) -> Forwarder? {
        if job.isDelta { return nil }
        return Forwarder(
            table: member.table, unflushed: member.unflushed, twin: member.twin,
            label: NameText.shown(job.id), permits: job.services.forwardPermits,
            flushFailures: { [weak job = job] in job?.twinFlush.failures ?? 0 },
            failed: { [weak job = job, weak member] bytes, error in
                guard let job, let member else { return }
                job.queue.async {
                    let granules = job.granularity.granules(touching: bytes)
                    job.trouble.failed(member, granules, .target, error)
                    job.advance()
                }
            },
            wake: { [weak job = job] in job?.wake() })
    }

    /// Whether guest writes are being forwarded.
    var isOn: Bool { job.members.contains { $0.forwarder?.isOn ?? false } }

    /// What is wanted, as far as the machine lets: while a twin has to stay as it is nothing may go
    /// to it. Called before the actions of a step are performed, so before a hold is lifted.
    func update() {
        let isWanted =
            switch job.settings.copyMode {
            case .background: false
            case .writeBlocking: !isFallenBack
            case .auto: copyModeControl.forwards
            }
        let mayForward = isWanted && job.machine.mayCopy && !job.standing.isSaid
        if mayForward { job.standing.forget() }
        for member in job.members { member.forwarder?.turn(on: mayForward) }
        watchForwards()
        job.twinFlush.letGuestsGo()
        // The guest waits for nothing of a job that is over.
        if job.machine.isOver { for member in job.members { member.forwarder?.close() } }
    }

    /// Looks once a second, with the rates.
    ///
    /// - Parameter dirtyRate: bytes a second that guests write, but for what is forwarded.
    func sample(_ dirtyRate: Double) {
        let forwarded = job.members.reduce(0) { $0 + ($1.forwarder?.forwardedBytes ?? 0) }
        let guestRate = dirtyRate + Double(forwarded - lastForwarded)
        lastForwarded = forwarded
        guard job.settings.copyMode == .auto, job.machine.mayCopy else { return }
        let pause = Double(job.settings.maxPause) / 2000
        copyModeControl.take(
            .init(
                now: .now - .origin, remaining: job.remaining,
                affordable: Int(job.copier.progress.bestRate * pause),
                guestRate: guestRate, copyRate: job.copier.progress.bestRate))
        update()
    }

    /// Often enough to see within a few hundred milliseconds that it does not converge.
    private static let lookInterval = DispatchTimeInterval.milliseconds(125)

    /// With `pace=full` the way to ready and that to a cut are not to be longer than they must. In
    /// between the guest comes first: a twin that lags behind for a while hurts nobody.
    private var isInHurry: Bool {
        job.settings.copyMode == .auto && !job.copier.sparesGuest && job.machine.mayCopy
            && !job.machine.isHolding
            && (job.machine.phase == .bulk || job.machine.isEnding) && !copyModeControl.forwards
    }

    /// From `armTick`: looks while it is in a hurry.
    func watchConvergence() {
        guard isInHurry, !isWatchingConvergence else { return }
        isWatchingConvergence = true
        job.later(Self.lookInterval) { [self] job in
            isWatchingConvergence = false
            guard isInHurry else { return copyModeControl.endLooks() }
            copyModeControl.take(
                .init(
                    now: .now - .origin, copied: job.counts.copied, remaining: job.remaining,
                    affordable: Int(
                        job.copier.progress.bestRate * Double(job.settings.maxPause) / 2000)))
            if copyModeControl.forwards { update() }
            watchConvergence()
        }
    }

    /// A hold could not copy the rest within `max-pause`.
    func cutFailed() {
        guard job.settings.copyMode == .auto else { return }
        copyModeControl.cutFailed(at: .now - .origin)
        update()
    }

    /// `write-timeout`: while writes are forwarded, looks for those that took too long.
    private func watchForwards() {
        // Also those that began before forwarding was turned off.
        let isNeeded = isOn || job.members.contains { !($0.forwarder?.isIdle ?? true) }
        guard isNeeded, job.settings.writeTimeout > 0, !isWatchingForwards else { return }
        isWatchingForwards = true
        let milliseconds = max(1, job.settings.writeTimeout / 4)
        job.later(.milliseconds(milliseconds)) { [self] job in
            isWatchingForwards = false
            let instant = Stopwatch.nanoseconds - job.settings.writeTimeout * 1_000_000
            if job.settings.writeTimeout > 0, abandonForwards(begunBefore: instant) > 0 {
                fallBack("a write to the twin")
            }
            watchForwards()
        }
    }

    /// The target is too slow to wait for: background, until the user or `auto` decides otherwise.
    func fallBack(_ what: String) {
        isFallenBack = true
        copyModeControl.abandoned(at: .now - .origin)
        update()
        job.telling.publish()
        var report = job.report()
        report.error =
            "\(what) took longer than write-timeout=\(job.settings.writeTimeout) ms: back to"
            + " copy-mode=background"
        job.services.tell(.fellBack, report)
        job.wake()
    }

    /// - Parameter instant: by `Stopwatch`.
    private func abandonForwards(begunBefore instant: Int) -> Int {
        job.members.reduce(0) { $0 + ($1.forwarder?.abandon { $0.hasWaited(since: instant) } ?? 0) }
    }
}
