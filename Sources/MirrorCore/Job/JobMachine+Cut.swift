// The way to an instant of agreement, and what is done at it.

extension JobMachine {
    mutating func observed(_ observation: Observation) -> [Action] {
        guard mayCopy, phase == .bulk || isEnding else { return [] }
        switch stage {
        case .holding where observation.agrees: return agreed()
        case .copying:
            let isNear = observation.passDone && observation.affordable
            // Agreement that came by itself is enough, but for a cut that something has to precede.
            if observation.agrees, !isEnding || !needsAttempt { return agreed() }
            return observation.agrees || isNear ? attempt() : []
        default: return []
        }
    }

    /// A switch-over has to find the writes held, and so has what was frozen or flushed for the
    /// cut.
    public var needsAttempt: Bool { ending == .switchOver || hasPreCut || cutsAtFlush }

    private mutating func attempt() -> [Action] {
        if isEnding, hasPreCut {
            stage = .freezing
            return [.preCut]
        }
        return awaitFlushOrHold()
    }

    private mutating func awaitFlushOrHold() -> [Action] {
        if isEnding, cutsAtFlush {
            stage = .awaitingFlush
            return [.awaitFlush]
        }
        stage = .holding
        return [.hold]
    }

    /// Came too late where the job has left the attempt: the guest is frozen for nothing then.
    mutating func preCutDone(_ isGood: Bool) -> [Action] {
        guard stage == .freezing, !isOver else { return [.postCut] }
        stage = .copying
        guard isGood else {
            // It may have got as far as the freeze.
            ending = nil
            return [.postCut] + become(.ready) + [.copy]
        }
        isFrozen = true
        return awaitFlushOrHold()
    }

    mutating func flushAwaited(_ event: Event) -> [Action] {
        guard stage == .awaitingFlush else { return [] }
        stage = .holding
        return [.hold]
    }

    /// Source and twin agree now.
    private mutating func agreed() -> [Action] {
        if ending == .switchOver {
            stage = .closing
            return [.flush]
        }
        let lift: [Action] = stage == .holding ? [.lift] : []
        stage = .settling
        return lift + thaw() + [.flush]
    }

    mutating func flushed() -> [Action] {
        switch stage {
        case .closing where !isCommitting:
            isCommitting = true
            return [.switchOver]
        case .settling where phase == .bulk: return [.publish]
        case .settling:
            stage = .copying
            return become(.completed) + [.finish]
        default: return []
        }
    }

    mutating func switched(_ isDone: Bool) -> [Action] {
        guard isCommitting else { return [] }
        isCommitting = false
        stage = .copying
        if isDone { return [.lift] + thaw() + become(.completed) + [.finish] }
        ending = nil
        return [.lift] + thaw() + become(.ready) + [.copy]
    }

    /// Gives an attempt at a cut up, wherever it stands: the guest goes on.
    mutating func leaveAttempt() -> [Action] {
        let lift: [Action] = isHolding || stage == .awaitingFlush ? [.lift] : []
        if stage != .settling { stage = .copying }
        return lift + thaw()
    }

    private mutating func thaw() -> [Action] {
        guard isFrozen else { return [] }
        isFrozen = false
        return [.postCut]
    }
}

// Errors.

extension JobMachine {
    mutating func failed(_ side: Side, _ isFull: Bool) -> [Action] {
        // Nothing is copied or forwarded while the switch-over is recorded.
        if isCommitting { return [] }
        let policy = side == .source ? onSourceError : onTargetError
        let lift = leaveAttempt()
        if stage == .settling { stage = .copying }
        if isPaused || isBackingOff { return lift }
        ioStatus = isFull ? .nospace : .failed
        switch policy {
        case .ignore where failures < maxRetries:
            failures += 1
            isBackingOff = true
            return lift + [.announceError(side, .ignore), .backOff(failures: failures)]
        case .ignore, .stop: return lift + stop(side)
        case .enospc where isFull: return lift + stop(side)
        case .report, .enospc:
            return lift + become(.failed) + [.announceError(side, .report), .finish]
        }
    }

    private mutating func stop(_ side: Side) -> [Action] {
        isPaused = true
        return [.announceError(side, .stop), .announce]
    }

    mutating func retry() -> [Action] {
        guard isBackingOff else { return [] }
        isBackingOff = false
        return [.copy]
    }

    mutating func recovered() -> [Action] {
        guard failures > 0, !isPaused, !isBackingOff else { return [] }
        failures = 0
        ioStatus = .ok
        return [.announce]
    }
}
