import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget
import Synchronization

/// Comparing source and twin while the guest runs: which verification is under way, and what was
/// found.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class Verifying: @unchecked Sendable {
    unowned let job: Job
    /// The verification that is under way.
    private var verification: Verification?
    /// The last one, for the status.
    private let lastVerification = Mutex<Verification?>(nil)
    /// What was found to differ and nobody has had copied again, for each member that has such.
    private var differing: [ObjectIdentifier: DirtyTable] = [:]
    /// Bytes of that.
    private var findings = 0
    private let foundSome = Atomic<Bool>(false)

    init(_ job: Job) { self.job = job }

    /// Something is known to differ that no mark tells of. Any thread.
    var hasFindings: Bool { foundSome.load(ordering: .acquiring) }

    /// Bytes a second; 0 is no limit.
    func setSpeed(_ bytesPerSecond: Int) { verification?.setSpeed(bytesPerSecond) }

    /// Adds what the status says of the last verification; false where there was none. Any thread.
    func add(to report: inout JobReport) -> Bool {
        guard let last = lastVerification.withLock({ $0 }) else { return false }
        last.add(to: &report)
        return true
    }

    /// Begins a verification; what it finds is seen in status and events.
    func begin(repair: Bool) throws(CommandError) -> String {
        try refuseVerify()
        let verification = Verification(
            job.members, label: NameText.shown(job.id), speed: job.settings.speed, repairs: repair,
            found: { [weak job = job] member, finding, bytes in
                guard let job else { return }
                job.queue.async { job.verifying.found(member, finding, bytes) }
            },
            done: { [job = job] in job.queue.async { job.verifying.verified() } })
        self.verification = verification
        job.underWay.enter(.verify)
        lastVerification.withLock { $0 = verification }
        verification.start()
        job.keep()
        return "verifying; see the status"
    }

    private func refuseVerify() throws(CommandError) {
        let name = NameText.shown(job.id)
        try job.refuseWhileAway("verify")
        guard job.machine.phase == .ready, !job.machine.isPaused else {
            throw CommandError(
                .badState,
                "verify: job \(name) is \(job.machine.isPaused ? "paused" : "in \(job.machine.phase.rawValue)"), and"
                    + " only what is kept in sync can be compared; wait with: twinfs wait --for ready"
            )
        }
        guard !job.isDelta else {
            throw CommandError(
                .notSupported,
                "verify: the twin of job \(name) holds only what was written since its start (sync=none"
                    + " without a seed), so there is nothing to compare it with")
        }
        guard job.underWay.mayBegin(.verify) else {
            throw CommandError(
                .badState, "verify: job \(name) is being verified already; see its status")
        }
    }

    /// After each step of the machine: only a ready job is verified, and a job does not end with
    /// something that is known to differ.
    func update() {
        if job.machine.phase != .ready || job.machine.isPaused { verification?.stop() }
        if job.machine.isEnding { repairFindings() }
    }

    private func found(_ member: Member, _ finding: Verification.Finding, _ bytes: Int) {
        job.standing.forget()
        guard verification?.repairs == true || job.machine.isEnding else {
            return remember(member, finding, bytes)
        }
        switch finding {
        case .bytes(let range): member.markUnasked(range)
        case .size: _ = member.table.markLength()
        }
        verification?.counts.withLock { $0.repaired += bytes }
        job.wake()
    }

    /// Not marked, so the copier leaves it alone; but the job is not in sync as long as it stands.
    private func remember(_ member: Member, _ finding: Verification.Finding, _ bytes: Int) {
        let table =
            differing[ObjectIdentifier(member)]
            ?? DirtyTable(granularity: job.granularity, gauge: WriteGauge())
        differing[ObjectIdentifier(member)] = table
        switch finding {
        case .bytes(let range):
            table.markUncounted(range)
            member.intents?.touch(range)
            member.intents?.request(range) {}
        case .size: _ = table.markLength()
        }
        findings += bytes
        let wasFound = foundSome.exchange(true, ordering: .acquiringAndReleasing)
        if !wasFound { job.keep() }
    }

    /// Marks what an earlier verification found and left alone.
    private func repairFindings() {
        guard hasFindings else { return }
        for member in job.members {
            differing[ObjectIdentifier(member)]?.drain(into: member.table)
        }
        let bytes = findings
        forgetFindings()
        lastVerification.withLock { $0 }?.counts.withLock {
            $0.repaired = min($0.mismatched, $0.repaired + bytes)
        }
        job.wake()
    }

    private func forgetFindings() {
        differing = [:]
        findings = 0
        foundSome.store(false, ordering: .releasing)
    }

    private func verified() {
        let counts = verification?.counts.withLock { $0 }
        // What earlier ones found has been found again, or is equal by now.
        if let counts, counts.error == nil, counts.mismatched == 0 { forgetFindings() }
        if verification?.repairs == true, counts?.error == nil { repairFindings() }
        verification?.counts.withLock { $0.isOver = true }
        verification = nil
        job.underWay.leave(.verify)
        job.telling.publish()
        job.keep()
        job.services.tell(.verified, job.report())
        job.advance()
    }
}
