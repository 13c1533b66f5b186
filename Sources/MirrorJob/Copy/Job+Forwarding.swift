import Dispatch
import MirrorCore
import MirrorImage
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

// On the job's queue: whether guest writes go to the twins at once.

extension Job {
    /// Makes the member's forwarder; it forwards nothing yet. A delta has none: a part of a granule forwarded
    /// there would leave the rest of it unknown.
    func makeForwarder(_ member: Member) -> Forwarder? {
        if isDelta { return nil }
        return Forwarder(
            table: member.table, unflushed: member.unflushed, twin: member.twin,
            label: NameText.shown(id), permits: services.forwardPermits,
            flushFailures: { [weak self] in
                self?.flushFailures.load(ordering: .sequentiallyConsistent) ?? 0
            },
            failed: { [weak self, weak member] bytes, error in
                guard let self, let member else { return }
                queue.async {
                    let granules = self.granularity.granules(touching: bytes)
                    self.failed(member, granules, .target, error)
                    self.advance()
                }
            },
            wake: { [weak self] in self?.wake() })
    }

    /// Whether guest writes are being forwarded.
    var isForwarding: Bool { members.contains { $0.forwarder?.isOn ?? false } }

    /// What is wanted, as far as the machine lets: while a twin has to stay as it is nothing may go to it.
    /// Called before the actions of a step are performed, so before a hold is lifted.
    func updateForwarding() {
        let isWanted =
            switch copyMode {
            case .background: false
            case .writeBlocking: !isFallenBack
            case .auto: copyModeControl.forwards
            }
        let mayForward = isWanted && machine.mayCopy
        for member in members { member.forwarder?.turn(on: mayForward) }
        watchForwards()
        letGuestFlushesGo()
        // The guest waits for nothing of a job that is over.
        if machine.isOver { for member in members { member.forwarder?.close() } }
    }

    /// Looks once a second, with the rates.
    func sampleCopyMode(_ guestRate: Double) {
        guard copyMode == .auto, machine.mayCopy else { return }
        let pause = Double(maxPause) / 2000
        copyModeControl.take(
            .init(
                now: .now - .origin, remaining: remaining,
                affordable: Int(progress.bestRate * pause),
                guestRate: guestRate, copyRate: progress.bestRate))
        updateForwarding()
    }

    /// Often enough to see within a few hundred milliseconds that it does not converge.
    private static let lookInterval = DispatchTimeInterval.milliseconds(125)

    /// With `pace=full` the way to ready and that to a cut are not to be longer than they must. In between the guest
    /// comes first: a twin that lags behind for a while hurts nobody.
    private var isInHurry: Bool {
        copyMode == .auto && pace.pacer == nil && machine.mayCopy && !machine.isHolding
            && (machine.phase == .bulk || machine.isEnding) && !copyModeControl.forwards
    }

    /// From `armTick`: looks while it is in a hurry.
    func watchConvergence() {
        guard isInHurry, !isWatchingConvergence else { return }
        isWatchingConvergence = true
        queue.asyncAfter(deadline: .now() + Self.lookInterval) { [weak self] in
            guard let self else { return }
            isWatchingConvergence = false
            guard isInHurry else { return copyModeControl.endLooks() }
            copyModeControl.take(
                .init(
                    now: .now - .origin, copied: counts.copied, remaining: remaining,
                    affordable: Int(progress.bestRate * Double(maxPause) / 2000)))
            if copyModeControl.forwards { updateForwarding() }
            watchConvergence()
        }
    }

    /// A hold could not copy the rest within `max-pause`.
    func cutFailed() {
        guard copyMode == .auto else { return }
        copyModeControl.cutFailed(at: .now - .origin)
        updateForwarding()
    }

    /// `write-timeout`: while writes are forwarded, looks for those that took too long.
    private func watchForwards() {
        // Also those that began before forwarding was turned off.
        let isNeeded = isForwarding || members.contains { !($0.forwarder?.isIdle ?? true) }
        guard isNeeded, writeTimeout > 0, !isWatchingForwards else { return }
        isWatchingForwards = true
        let milliseconds = max(1, writeTimeout / 4)
        queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [weak self] in
            guard let self else { return }
            isWatchingForwards = false
            let instant = Stopwatch.nanoseconds - writeTimeout * 1_000_000
            if writeTimeout > 0, abandonForwards(begunBefore: instant) > 0 {
                fallBack("a write to the twin")
            }
            watchForwards()
        }
    }

    /// The target is too slow to wait for: background, until the user or `auto` decides otherwise.
    func fallBack(_ what: String) {
        isFallenBack = true
        copyModeControl.abandoned(at: .now - .origin)
        updateForwarding()
        publishReport()
        var job = report()
        job.error =
            "\(what) took longer than write-timeout=\(writeTimeout) ms: back to"
            + " copy-mode=background"
        services.tell(.fellBack, job)
        wake()
    }

    /// - Parameter instant: by `Stopwatch`.
    private func abandonForwards(begunBefore instant: Int) -> Int {
        members.reduce(0) { $0 + ($1.forwarder?.abandon { $0.hasWaited(since: instant) } ?? 0) }
    }
}
