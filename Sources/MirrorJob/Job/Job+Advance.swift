import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget

// On the job's queue: what the job does next, and what its state machine asks for.

extension Job {
    /// The one place where the job decides what to do next. Idempotent: called after every wake,
    /// result and command.
    func advance() {
        assertOnQueue()
        guard isRunning else { return farewell.concludeIfQuiet() }
        for member in members { member.table.stayAwake() }
        standing.leave()
        copier.leaveRest()
        copier.watchSpace()
        if machine.mayCopy, underWay.mayBegin(.copy) { copier.fillLanes() }
        if isAtRest, machine.mayCopy, copier.isLengthDirty { return copier.copyLengths() }
        if isAtRest, machine.mayCopy { trouble.forgetIfOver() }
        perform(machine.handle(.observed(observe())))
        twinFlush.startForGuests()
        standing.standStill()
        if isAtRest { copier.sleep() }
        copier.armPace()
        telling.armTick()
        telling.publish()
    }

    /// Nothing is being copied and nothing else is under way that will call `advance`.
    var isAtRest: Bool {
        underWay.isAtRest(isHolding: machine.isHolding, awaitsSpace: copier.awaitsSpace)
    }

    /// What the machine decides by.
    private func observe() -> JobMachine.Observation {
        // Before the look: whatever exists now has marked every change after the instant of
        // agreement.
        if machine.isEnding, !machine.isSettling {
            cutAttempt.noteCheckpoints()
        }
        // R5. A size that was taken is with the clerk.
        let isInSync = underWay.isStill && DirtyTable.areInSync(members.map(\.table))
        if isInSync { standing.noteAgreement() }
        let agrees =
            isInSync && underWay.mayAgree(isEnding: machine.isEnding)
            // A write that is forwarded right after that instant would be in the twin of a cut,
            // without those before it that were not.
            && (machine.isHolding || !machine.isEnding || !forwarding.isOn)
        let estimate = copier.progress.microsecondsToCopy(remaining)
        let isFree =
            cutAttempt.mayHold && underWay.mayHold(isEnding: machine.isEnding)
        return .init(
            agrees: agrees && (machine.isHolding || isFree || !machine.needsAttempt),
            passDone: copier.passes > 0,
            affordable: estimate <= settings.maxPause * 1000 / 2 && isFree && !underWay.has(.verify)
        )
    }

    /// Does what the state machine asks for.
    func perform(_ actions: [JobMachine.Action]) {
        assertOnQueue()
        forwarding.update()
        verifying.update()
        for action in actions {
            switch action {
            case .hold: cutAttempt.hold()
            case .lift: cutAttempt.lift()
            case .flush: twinFlush.begin(settles: true)
            case .publish: cutAttempt.publish()
            case .preCut: cutAttempt.runPreCut()
            case .postCut: cutAttempt.runPostCut()
            case .awaitFlush: cutAttempt.awaitFlush()
            case .switchOver: cutAttempt.switchOver()
            case .announce: telling.announce()
            case .announceError(let side, let action): telling.announceError(side, action)
            case .backOff(let failures): trouble.backOff(failures)
            case .finish: farewell.finish()
            case .copy: wake()
            }
        }
    }
}
