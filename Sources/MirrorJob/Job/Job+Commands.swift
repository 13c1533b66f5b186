import Dispatch
package import MirrorCore
import MirrorImage
import MirrorTarget
import SystemPackage

// On the job's queue: commands. Each answers at once; what it starts is seen in status and events.

extension Job {
    package func pause() throws(CommandError) -> String {
        try refuseWhenOver("pause")
        try refuseWhileSwitching("pause")
        perform(machine.handle(.pause))
        advance()
        telling.publish()
        return "paused; writes go on and are marked"
    }

    package func resume() throws(CommandError) -> String {
        try refuseWhenOver("resume")
        trouble.forget()
        copier.resumeSpace()
        if machine.isResuming { comeback.reopenNow() }
        perform(machine.handle(.resume))
        telling.publish()
        return "resumed"
    }

    /// A job never runs otherwise than asked: the same rules as at its start.
    private func refuseContradictions(_ changes: [ParameterChange]) throws(CommandError) {
        var wanted = settings
        for change in changes { wanted.apply(change) }
        try wanted.refuseContradictions()
    }

    package func set(_ changes: [ParameterChange]) throws(CommandError) -> String {
        try refuseWhenOver("set")
        try refuseContradictions(changes)
        for change in changes {
            settings.apply(change)
            take(change.key)
        }
        forwarding.update()
        wake()
        telling.publish()
        keep()
        return "changed"
    }

    /// What has to happen for a parameter that `set` changed, beside that `settings` has it: a rate
    /// is kept where it is used.
    private func take(_ key: ParameterKey) {
        switch key {
        case .speed:
            copier.setSpeed(settings.speed)
            verifying.setSpeed(settings.speed)
        case .pace: copier.setPace(settings.pace)
        case .minSpeed: copier.setMinSpeed(settings.minSpeed)
        case .copyMode: forwarding.startAnew()
        case .onSourceError: machine.onSourceError = settings.onSourceError
        case .onTargetError: machine.onTargetError = settings.onTargetError
        case .maxRetries: machine.maxRetries = settings.maxRetries
        // Who uses it looks at `settings` each time.
        default: break
        }
    }

    /// QEMU's cancel: in bulk, or with `force`, the end at once; in ready, the end when both agree.
    /// QEMU also resumes a paused job for that: a paused job would never agree.
    package func cancel(force: Bool) throws(CommandError) -> String {
        try refuseWhenOver("cancel")
        try refuseWhileSwitching("cancel")
        if !force, machine.ending == .switchOver {
            throw CommandError(
                .badState,
                "cancel: job \(NameText.shown(id)): is about to switch the guest over; to stop that, and leave"
                    + " the twin as it is: cancel force=on")
        }
        if !force, machine.wasReady, machine.isPaused { _ = try resume() }
        perform(machine.handle(.end(force ? .now : .soft)))
        telling.publish()
        return machine.isOver
            ? "cancelled; the twin is \(StatusText.worth(report()))"
            : "ends when source and twin agree; the guest stays on the source"
    }

    /// `switchOver`: the guest goes on on the twin; else as a soft cancel.
    package func complete(switchOver: Bool) throws(CommandError) -> String {
        try refuseWhenOver("complete")
        guard machine.wasReady else {
            throw CommandError(
                .badState,
                "job \(NameText.shown(id)): is in \(machine.phase.rawValue), not ready; wait with: twinfs wait"
                    + " --for ready")
        }
        guard !isDelta else {
            throw CommandError(
                .notSupported,
                "job \(NameText.shown(id)): a sync=none twin without a seed holds only what was written since"
                    + " its start and never equals the image; end it with cancel")
        }
        if switchOver {
            try cutAttempt.refuseSwitchOver()
        } else {
            try refuseWhileSwitching("complete")
        }
        if !switchOver, machine.ending == .switchOver {
            throw CommandError(
                .badState,
                "complete switch=off: job \(NameText.shown(id)): is about to switch the guest over; to stop that:"
                    + " cancel force=on")
        }
        // The flush inside of the hold has little left to do then.
        if switchOver { twinFlush.begin(settles: false) }
        perform(machine.handle(.end(switchOver ? .switchOver : .soft)))
        telling.publish()
        return switchOver
            ? "switches over when source and twin agree; the guest goes on on the twin"
            : "ends when source and twin agree; the guest stays on the source"
    }

    /// Compares source and twin; what is found is seen in status and events.
    package func verify(repair: Bool) throws(CommandError) -> String {
        try refuseWhenOver("verify")
        return try verifying.begin(repair: repair)
    }

    /// The image's last name went away. The twin is kept; it is worth something only if both agreed
    /// just now.
    package func imageDeleted() {
        guard !machine.isOver else { return }
        counts.error = "the image was deleted; its twin is kept"
        perform(machine.handle(.end(.now)))
    }

    /// The mount ends. Where nothing is kept: agreement if the twin was in sync once and nothing is
    /// wrong, else the end; otherwise the job goes on with the next mount.
    package func shutDown(within patience: Duration, _ done: @escaping @Sendable () -> Void) {
        if !farewell.awaitEnd(done) { return }
        machine.forgetGuest()
        cutAttempt.endWait()
        if isKept { return farewell.suspend(within: patience) }
        let isSound = machine.wasReady && !machine.isPaused && !isDelta
        if !isSound { counts.error = counts.error ?? "the mount ended before the twin was in sync" }
        perform(machine.handle(.end(isSound ? .soft : .now)))
    }

    private func refuseWhileSwitching(_ verb: String) throws(CommandError) {
        guard machine.isCommitting else { return }
        throw CommandError(
            .badState,
            "\(verb): job \(NameText.shown(id)): its switch-over is being recorded and cannot be stopped any"
                + " more; look at its status in a moment")
    }

    /// After a restart the twins are opened when they are there; until then nobody may touch them.
    func refuseWhileAway(_ verb: String) throws(CommandError) {
        guard machine.isResuming else { return }
        throw CommandError(
            .badState,
            "\(verb): job \(NameText.shown(id)): has come back after a restart, and waits for"
                + " \(members[0].twin.place.name); look at its status, and try again when that is there"
        )
    }

    func refuseWhenOver(_ verb: String) throws(CommandError) {
        guard machine.isOver else { return }
        throw CommandError(
            .badState,
            "\(verb): job \(NameText.shown(id)) has ended (\(machine.phase.rawValue)); forget it with: dismiss"
        )
    }
}
