import Dispatch
import MirrorCore
import Synchronization
import SystemPackage

extension Job {
    /// What the status says of the job. Any thread; never waits for the queue: the parts that move with
    /// every write are read from the table, the rest is the queue's last word.
    func report() -> JobReport {
        // R5, asked from outside. The copier sleeps, so no size is with the clerk.
        let isSynced =
            DirtyTable.areInSync(members.map(\.table)) && members.allSatisfy(\.table.isAsleep)
            && !hasFindings.load(ordering: .acquiring)
        var report = snapshot.withLock { $0 }
        report.opens = members.reduce(0) { $0 + $1.image.opens }
        if !report.phase.isOver, report.phase != .created { addLiveNumbers(&report, isSynced) }
        if let verification = lastVerification.withLock({ $0 }) {
            verification.add(to: &report)
        } else if past?.record.verify == .running {
            report.verifyError = "a restart of the daemon came in between; start it anew"
        }
        return report
    }

    private func addLiveNumbers(_ report: inout JobReport, _ isSynced: Bool) {
        report.images = shownImages
        report.dirtyBytes = members.reduce(0) { $0 + $1.table.dirtyBytes }
        report.inFlightBytes = members.reduce(0) { $0 + $1.table.claimedBytes }
        let isInSync = isSynced && report.ready
        // Never all done before it is in sync.
        let left = isInSync ? 0 : max(remaining, granularity.bytes)
        report.len = report.copiedBytes + left
        report.offset = report.copiedBytes
        report.targetState = TwinWorth(
            .init(
                phase: report.phase, wasReady: report.ready, isDelta: isDelta, agrees: isInSync,
                isPastState: report.targetState == .outdated))
        if report.targetState != .outdated { report.inSyncTime = nil }
        report.activelySynced = isInSync && isForwarding
    }

    /// On the queue: the words and numbers that only the queue knows.
    func publishReport() {
        if machine.isOver, !hasEnded, !isConcluded { return }
        let report = newReport()
        snapshot.withLock { $0 = report }
    }

    /// What the queue knows now.
    func newReport() -> JobReport {
        var report = JobReport(
            id: NameText.shown(id), images: shownImages, target: shownTarget)
        report.phase = machine.phase
        report.status = machine.status
        report.sync = parameters.sync
        report.serving = services.servingPath(members[0].image).map(shown) ?? JobReport.ownFile
        report.copyMode = isForwarding ? .writeBlocking : .background
        report.granularity = granularity.bytes
        (report.totalBytes, report.copiedBytes) = (counts.total, counts.copied)
        (report.skippedZeroBytes, report.passes) = (counts.zeroes, passes)
        report.speed = limit.bytesPerSecond
        report.ready = machine.wasReady && !machine.isOver
        report.ioStatus = machine.ioStatus
        report.paused = machine.isPaused
        report.error = counts.error
        (report.errorsSource, report.errorsTarget) = (counts.sourceErrors, counts.targetErrors)
        report.lastPauseUs = counts.lastPause
        (report.resumed, report.resumedBytes) = (resumed, resumedBytes)
        addRates(&report)
        addWorth(&report)
        return report
    }

    private func addRates(_ report: inout JobReport) {
        let isOver = machine.isOver
        report.rate = isOver ? 0 : Int(progress.rate)
        report.dirtyRate = isOver ? 0 : Int(progress.dirtyRate)
        report.converging = progress.isConverging(remaining: remaining)
        report.eta = isOver || machine.isPaused ? nil : progress.secondsLeft(remaining: remaining)
        report.expectedPauseUs = isOver ? nil : progress.microsecondsToCopy(remaining)
        (report.len, report.offset) = (counts.copied, counts.copied)
        if isOver, machine.phase != .completed {
            report.len += max(remaining, granularity.bytes)
        }
    }

    private func addWorth(_ report: inout JobReport) {
        report.targetState = worth
        report.inSyncTime = report.targetState == .outdated ? standstill.time : nil
        guard machine.phase == .completed else { return }
        report.cutTime = counts.cutTime
        report.cutGeneration = 1
    }

    private var shownImages: [String] { members.map { shown($0.image.path) } }

    /// The name that the first twin has, or will have once it was in sync.
    private var shownTarget: String {
        isDelta ? members[0].twin.workingName : members[0].twin.place.name
    }

    /// Samples the rates once a second while there is something to tell; sleeps with the copier.
    func armTick() {
        watchConvergence()
        guard !isTicking, !machine.isOver else { return }
        isTicking = true
        queue.asyncAfter(deadline: .now() + .seconds(1)) { [weak self] in self?.tick() }
    }

    private func tick() {
        isTicking = false
        guard !machine.isOver else { return }
        // While agreement is wanted the job keeps looking: a change that marks nothing may have been in the
        // way of the last look, and nobody tells when it is done.
        let isAtPeace = members.allSatisfy { $0.table.isAsleep && $0.table.isClean }
        // Forwarded writes mark nothing and wake nobody, and somebody has to see when they get fewer.
        if machine.isPaused || isAtPeace && machine.phase == .ready && !isForwarding {
            progress.rest()
            return publishReport()
        }
        sampleRates()
        advance()
    }

    func sampleRates() {
        progress.sample(
            at: ContinuousClock.now - .origin, copied: counts.copied, remaining: remaining)
        let forwarded = members.reduce(0) { $0 + ($1.forwarder?.forwardedBytes ?? 0) }
        sampleCopyMode(progress.dirtyRate + Double(forwarded - lastForwarded))
        lastForwarded = forwarded
    }
}
