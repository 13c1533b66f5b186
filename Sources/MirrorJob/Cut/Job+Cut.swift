import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

// On the job's queue: what the state machine asks for.

extension Job {
    func perform(_ actions: [JobMachine.Action]) {
        assertOnQueue()
        updateForwarding()
        updateVerification()
        for action in actions {
            switch action {
            case .hold: hold()
            case .lift: lift()
            case .flush: flush(settles: true)
            case .publish: publish()
            case .preCut: runPreCut()
            case .postCut: runPostCut()
            case .awaitFlush: awaitFlush()
            case .switchOver: switchOver()
            case .announce: announce()
            case .announceError(let side, let action): announceError(side, action)
            case .backOff(let failures): backOff(failures)
            case .finish: finish()
            case .copy: wake()
            }
        }
    }

    /// Design, section 8, step 2: new writes of all members wait, reads go on. What is left is copied at
    /// once; the hold ends by agreement or after `max-pause`, whichever comes first.
    ///
    /// A write that depends on an acknowledged one of another member is held if that one was, and was done
    /// before its own door closed if not: the state at the instant when all doors are closed and all gauges
    /// idle has both or only the first.
    private func hold() {
        heldSince = heldSince ?? .now
        holdCount += 1
        let number = holdCount
        for member in members {
            member.image.gate.hold(by: self) { [weak self] in self?.wake() }
        }
        wake()
        queue.asyncAfter(deadline: .now() + .milliseconds(maxPause)) { [weak self] in
            guard let self, holdCount == number, machine.isHolding else { return }
            nextHold = .now + .seconds(1)
            cutFailed()
            perform(machine.handle(.holdExpired))
        }
    }

    func lift() {
        stopWatchingFlushes()
        for member in members { member.image.lift(by: self) }
        guard let since = heldSince else { return }
        heldSince = nil
        counts.lastPause = Int((ContinuousClock.now - since) / .microseconds(1))
    }

    /// Makes the target durable beside the copy. `settles`: the machine waits for it, and nothing is copied.
    func flush(settles: Bool) {
        guard underWay.mayBegin(.flush) else {
            mustFlushAgain = mustFlushAgain || settles
            return
        }
        beginGuestFlushes()
        for member in members { member.beginFlush() }
        bytesSinceFlush = 0
        // A switch-over leaves no twin behind that could be worth something.
        let isEnd = settles && machine.phase == .completing && machine.ending == .soft
        if isEnd, counts.lastPause == nil { counts.lastPause = 0 }
        if isEnd { counts.cutTime = WallClock.now.seconds }
        let cut = isEnd ? Cut(time: counts.cutTime ?? 0, checkpoints: cutCheckpoints) : nil
        let choose = intentsToClear(settles: settles)
        onClerk(.flush) { [self] in
            let chosen = choose?() ?? []
            return (chosen, flushTwins(cut))
        } then: { [self] chosen, failure in
            flushed(settles, isEnd: isEnd, failure)
            if failure == nil { clear(chosen) }
        }
    }

    /// What the twins say of the cut that they are.
    private struct Cut {
        let time: Int
        /// For each member.
        let checkpoints: [[String]]
    }

    private func flushTwins(_ cut: Cut?) -> (Member, Errno)? {
        for (index, member) in members.enumerated() {
            do throws(Errno) { try flush(member, cut, cut?.checkpoints[index] ?? []) } catch {
                // It will be written again.
                if cut != nil { for member in members { member.twin.annotate(.inconsistent) } }
                return (member, error)
            }
        }
        return nil
    }

    private func flush(
        _ member: Member, _ cut: Cut?, _ checkpoints: [String]
    ) throws(Errno) {
        let twin = member.twin
        try twin.flush()
        // The extent list of a delta is made durable after the bytes that it lists.
        if let written = member.written {
            try twin.saveExtents(JSON.bytes(ExtentList(written)) + [UInt8(ascii: "\n")])
        }
        guard let cut else { return }
        // What the twin is worth is said only once its bytes are durable, and made durable itself.
        twin.annotate(
            isDelta ? .partial : .consistent,
            [
                ("cut", "\(cut.time)"), ("generation", "1"),
                ("checkpoints", checkpoints.joined(separator: " ")),
            ])
        try twin.flush()
    }

    /// After a failed flush everything written since the last good one is dirty again, also what was
    /// written beside the flush: the kernel reports a lost page once, to whoever flushes next. Whoever
    /// wrote and has not noted it in `unflushed` by now sees the count of failures moved.
    private func flushed(
        _ settles: Bool, isEnd: Bool, _ failure: (member: Member, error: Errno)?
    ) {
        defer { startGuestFlush() }
        if failure == nil {
            for member in members { member.flushed() }
            standstill.flushed()
            guestFlushes.end()
            succeeded(.flush)
        }
        if let failure {
            flushFailures.add(1, ordering: .sequentiallyConsistent)
            for member in members { member.flushFailed() }
            standstill.forget()
            keep()
            mustFlushAgain = false
            counts.cutTime = nil
            fail(.target, failure.error, failure.member, in: .flush)
            // The source is durable: that is all that a guest hears of.
            guestFlushes.end()
        } else {
            if mustFlushAgain {
                mustFlushAgain = false
                return flush(settles: true)
            }
            if settles { perform(machine.handle(.flushed)) }
        }
        if isEnd, failure == nil, !machine.isOver, !machine.isSettling { takeBackAnnotations() }
        advance()
    }

    /// The cut was not to be after all, and the twins are about to be written again.
    private func takeBackAnnotations() {
        onClerk(.worth) { [members] in
            for member in members {
                member.twin.annotate(.inconsistent)
                try? member.twin.flush()
            }
        } then: {
        }
    }

    private func publish() {
        onClerk(.publish) { [self] in
            publishTwins()
        } then: { [self] failure in
            if let (member, error) = failure {
                return fail(.target, error, member, in: .publication)
            }
            succeeded(.publication)
            perform(machine.handle(.published))
            restartPass()
        }
    }

    private func publishTwins() -> (Member, Errno)? {
        for member in members {
            do throws(Errno) {
                // A delta never equals its image: it keeps its working name.
                if isDelta { member.twin.annotate(.partial) } else { try member.twin.publish() }
            } catch {
                return (member, error)
            }
        }
        return nil
    }
}
