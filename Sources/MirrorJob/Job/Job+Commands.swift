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
        publishReport()
        return "paused; writes go on and are marked"
    }

    package func resume() throws(CommandError) -> String {
        try refuseWhenOver("resume")
        counts.error = nil
        (troubled, troubledEfforts) = (nil, [])
        resumeSpace()
        if machine.isResuming { reopenNow() }
        perform(machine.handle(.resume))
        publishReport()
        return "resumed"
    }

    /// A job never runs otherwise than asked: the same rules as at its start.
    private func refuseContradictions(_ changes: [ParameterChange]) throws(CommandError) {
        var wanted = parameters
        wanted.copyMode = copyMode
        for case .copyMode(let mode) in changes { wanted.copyMode = mode }
        try wanted.refuseContradictions()
    }

    private func setCopyMode(_ mode: JobParameters.CopyMode) {
        copyMode = mode
        isFallenBack = false
        copyModeControl = CopyModeControl()
    }

    package func set(_ changes: [ParameterChange]) throws(CommandError) -> String {
        try refuseWhenOver("set")
        try refuseContradictions(changes)
        for change in changes {
            settings.apply(change)
            switch change {
            case .speed(let speed):
                limit.set(speed)
                verification?.setSpeed(speed)
                endThrottle()
            case .maxPause(let milliseconds): maxPause = milliseconds
            case .onSourceError(let policy): machine.onSourceError = policy
            case .onTargetError(let policy): machine.onTargetError = policy
            case .maxRetries(let count): machine.maxRetries = count
            case .copyMode(let mode): setCopyMode(mode)
            case .writeTimeout(let milliseconds): writeTimeout = milliseconds
            case .pace(let wanted):
                pace.set(wanted)
                endThrottle()
            case .minSpeed(let speed): pace.set(minSpeed: speed)
            }
        }
        updateForwarding()
        wake()
        publishReport()
        keep()
        return "changed"
    }

    /// QEMU's cancel: in bulk, or with `force`, the end at once; in ready, the end when both agree. As there
    /// a paused job goes on: paused it would never agree.
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
        publishReport()
        return machine.isOver
            ? "cancelled; the twin is \(counts.targetState)"
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
        if switchOver { try refuseSwitchOver() } else { try refuseWhileSwitching("complete") }
        if !switchOver, machine.ending == .switchOver {
            throw CommandError(
                .badState,
                "complete switch=off: job \(NameText.shown(id)): is about to switch the guest over; to stop that:"
                    + " cancel force=on")
        }
        // The flush inside of the hold has little left to do then.
        if switchOver { flush(settles: false) }
        perform(machine.handle(.end(switchOver ? .switchOver : .soft)))
        publishReport()
        return switchOver
            ? "switches over when source and twin agree; the guest goes on on the twin"
            : "ends when source and twin agree; the guest stays on the source"
    }

    /// The image's last name went away. The twin is kept; it is worth something only if both agreed just now.
    package func imageDeleted() {
        guard !machine.isOver else { return }
        counts.error = "the image was deleted; its twin is kept"
        perform(machine.handle(.end(.now)))
    }

    /// The mount ends. Where nothing is kept: agreement if the twin was in sync once and nothing is wrong, else
    /// the end; otherwise the job goes on with the next mount.
    package func shutDown(within patience: Duration, _ done: @escaping @Sendable () -> Void) {
        whenEnded = done
        if isConcluded { return tellEnd() }
        machine.forgetGuest()
        if let watch = flushWatch, watch.end() { flushWatched(.flushWaitOver) }
        if isKept { return suspend(within: patience) }
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
