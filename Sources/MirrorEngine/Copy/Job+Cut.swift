import Dispatch
import MirrorCore
import MirrorSystem
import SystemPackage

// On the job's queue: what the state machine asks for.

extension Job {
    func perform(_ actions: [JobMachine.Action]) {
        for action in actions {
            switch action {
            case .hold: hold()
            case .lift: lift()
            case .flush: flush(settles: true)
            case .publish: publish()
            case .announce: announce()
            case .announceError(let side, let stops): announceError(side, stops)
            case .finish: finish()
            case .copy: wake()
            }
        }
    }

    /// Design, section 8, step 2: new writes wait, reads go on. What is left is copied at once; the hold
    /// ends by agreement or after `max-pause`, whichever comes first.
    private func hold() {
        heldSince = .now
        holdCount += 1
        let number = holdCount
        image.gate.hold(by: self) { [weak self] in self?.wake() }
        wake()
        queue.asyncAfter(deadline: .now() + .milliseconds(maxPause)) { [weak self] in
            guard let self, holdCount == number, machine.isHolding else { return }
            nextHold = .now + .seconds(1)
            perform(machine.handle(.holdExpired))
        }
    }

    func lift() {
        image.lift(by: self)
        guard let since = heldSince else { return }
        heldSince = nil
        counts.lastPause = Int((ContinuousClock.now - since) / .microseconds(1))
    }

    /// Makes the target durable beside the copy. `settles`: the machine waits for it, and nothing is copied.
    func flush(settles: Bool) {
        if isFlushing {
            mustFlushAgain = mustFlushAgain || settles
            return
        }
        isFlushing = true
        let covered = unflushed
        unflushed = DirtyTable(granularity: table.granularity, gauge: WriteGauge())
        bytesSinceFlush = 0
        let isEnd = settles && machine.phase == .completing
        if isEnd, counts.lastPause == nil { counts.lastPause = 0 }
        if isEnd { counts.cutTime = WallClock.now.seconds }
        let cutTime = counts.cutTime
        clerk.async { [self] in
            let failure = flushTwin(isEnd: isEnd, cutTime)
            queue.async { [self] in flushed(settles, covered, failure) }
        }
    }

    private func flushTwin(isEnd: Bool, _ cutTime: Int?) -> Errno? {
        do throws(Errno) {
            try twin.flush()
            try saveExtents()
            guard isEnd else { return nil }
            // What the twin is worth is said only once its bytes are durable, and made durable itself.
            twin.annotate(
                isDelta ? .partial : .consistent, [("cut", "\(cutTime ?? 0)"), ("generation", "1")])
            try twin.flush()
            return nil
        } catch {
            // It will be written again.
            if isEnd { twin.annotate(.inconsistent) }
            return error
        }
    }

    /// The extent list of a delta is made durable after the bytes that it lists.
    private func saveExtents() throws(Errno) {
        guard let written else { return }
        try twin.saveExtents(JSON.bytes(ExtentList(written)) + [UInt8(ascii: "\n")])
    }

    /// After a failed flush everything written since the last good one is dirty again, also what was
    /// written beside the flush: the kernel reports a lost page once, to whoever flushes next.
    private func flushed(_ settles: Bool, _ covered: DirtyTable, _ failure: Errno?) {
        isFlushing = false
        if let failure {
            flushFailures += 1
            for written in [covered, unflushed] {
                for extent in written.dirtyExtents(limit: .max) { table.markUncounted(extent) }
            }
            unflushed = DirtyTable(granularity: table.granularity, gauge: WriteGauge())
            mustFlushAgain = false
            counts.cutTime = nil
            fail(.target, failure)
        } else if mustFlushAgain {
            mustFlushAgain = false
            return flush(settles: true)
        } else if settles {
            perform(machine.handle(.flushed))
        }
        advance()
    }

    private func publish() {
        isClerkBusy = true
        clerk.async { [self] in
            let failure = publishTwin()
            queue.async { [self] in
                isClerkBusy = false
                if let failure {
                    fail(.target, failure)
                } else {
                    perform(machine.handle(.published))
                    cursor = 0
                }
                advance()
            }
        }
    }

    private func publishTwin() -> Errno? {
        // A delta never equals its image: it keeps its working name.
        if isDelta {
            twin.annotate(.partial)
            return nil
        }
        do throws(Errno) {
            try twin.publish()
            return nil
        } catch {
            return error
        }
    }
}

// Errors and the end.

extension Job {
    /// An I/O error of source or target: counted, put into words, and the machine decides.
    func fail(_ side: JobMachine.Side, _ error: Errno) {
        let isFull = side == .target && (error == .noSpace || error == .diskQuotaExceeded)
        if side == .source { counts.sourceErrors += 1 } else { counts.targetErrors += 1 }
        counts.error = words(side, error, isFull: isFull)
        perform(machine.handle(.failed(side, isFull: isFull)))
    }

    private func words(_ side: JobMachine.Side, _ error: Errno, isFull: Bool) -> String {
        let name = NameText.shown(id)
        if isFull {
            return
                "nospace: no room for the twin \(twin.workingName) (\(error)): the copy has stopped,"
                + " the guest goes on; make room there, then: twinfs resume \(name)"
        }
        let place =
            side == .source
            ? "reading the image \(shown(image.path))"
            : "writing the twin \(twin.workingName)"
        return
            "\(place) failed: \(error); look at that disk, then: twinfs resume \(name) where the job is"
            + " paused, or start it anew"
    }

    private func announce() {
        // The end is told once the job is off its image (`conclude`).
        if machine.isOver { return }
        publishReport()
        services.tell(.statusChange, report())
        if machine.phase == .ready || machine.phase == .completing, !hasToldReady {
            hasToldReady = true
            services.tell(.ready, report())
        }
    }

    private func announceError(_ side: JobMachine.Side, _ stops: Bool) {
        publishReport()
        var job = report()
        job.error = counts.error
        let side = side == .source ? "read" : "write"
        services.tell(.error(side: side, action: stops ? "stop" : "report"), job)
    }
}
