import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget
import Synchronization
import SystemPackage

/// What the job tells: the status, and events as they come.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only; `snapshot` has a lock.
final class JobTelling: @unchecked Sendable {
    unowned let job: Job
    /// The queue's last word.
    private let snapshot: Mutex<JobReport>
    private var isTicking = false
    private var hasToldReady = false
    /// What the last JOB_STATUS_CHANGE said.
    private var toldStatus: JobStatus?
    /// What was kept last.
    var keptRecord: [UInt8] = []

    init(_ job: Job, _ first: JobReport) {
        self.job = job
        snapshot = Mutex(first)
    }

    /// What the status says of the job. Any thread; never waits for the queue: the parts that move
    /// with every write are read from the table, the rest is the queue's last word.
    package func report() -> JobReport {
        // R5, asked from outside. The copier sleeps, so no size is with the clerk.
        let isSynced =
            DirtyTable.areInSync(job.members.map(\.table))
            && job.members.allSatisfy(\.table.isAsleep)
            && !job.verifying.hasFindings
        var report = snapshot.withLock { $0 }
        report.opens = job.members.reduce(0) { $0 + $1.image.opens }
        if !report.phase.isOver, report.phase != .created { addLiveNumbers(&report, isSynced) }
        if !job.verifying.add(to: &report), job.comeback.past?.record.verify == .running {
            report.verifyError = "a restart of the daemon came in between; start it anew"
        }
        return report
    }

    private func addLiveNumbers(_ report: inout JobReport, _ isSynced: Bool) {
        report.images = shownImages
        report.dirtyBytes = job.members.reduce(0) { $0 + $1.table.dirtyBytes }
        report.inFlightBytes = job.members.reduce(0) { $0 + $1.table.claimedBytes }
        let isInSync = isSynced && report.ready
        // Never all done before it is in sync.
        let left = isInSync ? 0 : max(job.remaining, job.granularity.bytes)
        report.len = report.copiedBytes + left
        report.offset = report.copiedBytes
        report.targetState = TwinWorth(
            .init(
                phase: report.phase, wasReady: report.ready, isDelta: job.isDelta, agrees: isInSync,
                isPastState: report.targetState == .outdated))
        if report.targetState != .outdated { report.inSyncTime = nil }
        report.activelySynced = isInSync && job.forwarding.isOn
    }

    /// On the queue: the words and numbers that only the queue knows.
    func publish() {
        if job.machine.isOver, !job.hasEnded, !job.farewell.isConcluded { return }
        let report = newReport()
        snapshot.withLock { $0 = report }
    }

    /// What the queue knows now.
    func newReport() -> JobReport {
        var report = JobReport(
            id: NameText.shown(job.id), images: shownImages, target: shownTarget)
        report.phase = job.machine.phase
        report.status = job.machine.status
        report.sync = job.settings.sync
        report.serving =
            job.services.servingPath(job.members[0].image).map(shown) ?? JobReport.ownFile
        report.copyMode = job.forwarding.isOn ? .writeBlocking : .background
        report.granularity = job.granularity.bytes
        (report.totalBytes, report.copiedBytes) = (job.counts.total, job.counts.copied)
        (report.skippedZeroBytes, report.passes) = (job.counts.zeroes, job.copier.passes)
        report.speed = job.settings.speed
        report.ready = job.machine.wasReady && !job.machine.isOver
        report.ioStatus = job.machine.ioStatus
        report.paused = job.machine.isPaused
        report.error = job.counts.error
        (report.errorsSource, report.errorsTarget) = (
            job.counts.sourceErrors, job.counts.targetErrors
        )
        report.lastPauseUs = job.counts.lastPause
        (report.resumed, report.resumedBytes) = (job.comeback.resumed, job.comeback.resumedBytes)
        addRates(&report)
        addWorth(&report)
        return report
    }

    private func addRates(_ report: inout JobReport) {
        let isOver = job.machine.isOver
        report.rate = isOver ? 0 : Int(job.copier.progress.rate)
        report.dirtyRate = isOver ? 0 : Int(job.copier.progress.dirtyRate)
        report.converging = job.copier.progress.isConverging(remaining: job.remaining)
        report.eta =
            isOver || job.machine.isPaused
            ? nil : job.copier.progress.secondsLeft(remaining: job.remaining)
        report.expectedPauseUs =
            isOver ? nil : job.copier.progress.microsecondsToCopy(job.remaining)
        (report.len, report.offset) = (job.counts.copied, job.counts.copied)
        if isOver, job.machine.phase != .completed {
            report.len += max(job.remaining, job.granularity.bytes)
        }
    }

    private func addWorth(_ report: inout JobReport) {
        report.targetState = job.standing.worth
        report.inSyncTime = report.targetState == .outdated ? job.standing.pastTime : nil
        guard job.machine.phase == .completed else { return }
        report.cutTime = job.counts.cutTime
        report.cutGeneration = 1
    }

    private var shownImages: [String] { job.members.map { shown($0.image.path) } }

    /// The name that the first twin has, or will have once it was in sync.
    private var shownTarget: String {
        job.isDelta ? job.members[0].twin.workingName : job.members[0].twin.place.name
    }

    /// Samples the rates once a second while there is something to tell; sleeps with the copier.
    func armTick() {
        job.forwarding.watchConvergence()
        guard !isTicking, !job.machine.isOver else { return }
        isTicking = true
        job.later(.seconds(1)) { [self] _ in tick() }
    }

    private func tick() {
        isTicking = false
        guard !job.machine.isOver else { return }
        // While agreement is wanted the job keeps looking: a change that marks nothing may have
        // been in the way of the last look, and nobody tells when it is done.
        let isAtPeace = job.members.allSatisfy { $0.table.isAsleep && $0.table.isClean }
        // Forwarded writes mark nothing and wake nobody, and somebody has to see when they get
        // fewer.
        if job.machine.isPaused || isAtPeace && job.machine.phase == .ready && !job.forwarding.isOn
        {
            job.copier.rest()
            return publish()
        }
        job.copier.sampleRates()
        job.advance()
    }

    func announceError(_ side: JobMachine.Side, _ action: JobMachine.ErrorAction) {
        publish()
        var told = job.report()
        told.error = job.counts.error
        let side = side == .source ? "read" : "write"
        job.services.tell(.error(side: side, action: action.rawValue), told)
    }

    func announce() {
        // The end is told once the job is off its images (`conclude`).
        if job.machine.isOver || job.farewell.suspension != nil { return }
        publish()
        job.keep()
        // A job that has recovered from an ignored error is where it was.
        if toldStatus != job.machine.status { job.services.tell(.statusChange, job.report()) }
        toldStatus = job.machine.status
        if job.machine.phase == .ready || job.machine.phase == .completing, !hasToldReady {
            hasToldReady = true
            tellReady()
        }
    }

    /// As in QEMU `len` equals `offset` in this event, unless the guest has written since they
    /// agreed.
    private func tellReady() {
        var report = job.report()
        if job.remaining == 0, !job.copier.isLengthDirty { report.len = report.offset }
        job.services.tell(.ready, report)
    }
}
