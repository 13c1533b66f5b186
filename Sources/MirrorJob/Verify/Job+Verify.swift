import Dispatch
package import MirrorCore
import MirrorState
import MirrorTarget
import Synchronization

// On the job's queue: comparing source and twin while the guest runs.

extension Job {
    var isVerifying: Bool { verification != nil }

    /// Begins a verification; what it finds is seen in status and events.
    package func verify(repair: Bool) throws(CommandError) -> String {
        try refuseWhenOver("verify")
        try refuseVerify()
        let verification = Verification(
            members, label: NameText.shown(id), speed: limit.bytesPerSecond, repairs: repair,
            found: { [weak self] member, finding, bytes in
                guard let self else { return }
                queue.async { self.found(member, finding, bytes) }
            },
            done: { [self] in queue.async { self.verified() } })
        self.verification = verification
        lastVerification.withLock { $0 = verification }
        verification.start()
        keep()
        return "verifying; see the status"
    }

    private func refuseVerify() throws(CommandError) {
        let name = NameText.shown(id)
        try refuseWhileAway("verify")
        guard machine.phase == .ready, !machine.isPaused else {
            throw CommandError(
                .badState,
                "verify: job \(name) is \(machine.isPaused ? "paused" : "in \(machine.phase.rawValue)"), and"
                    + " only what is kept in sync can be compared; wait with: twinfs wait --for ready"
            )
        }
        guard !isDelta else {
            throw CommandError(
                .notSupported,
                "verify: the twin of job \(name) holds only what was written since its start (sync=none"
                    + " without a seed), so there is nothing to compare it with")
        }
        guard !isVerifying else {
            throw CommandError(
                .badState, "verify: job \(name) is being verified already; see its status")
        }
    }

    /// After each step of the machine: only a ready job is verified, and a job does not end with
    /// something that is known to differ.
    func updateVerification() {
        if machine.phase != .ready || machine.isPaused { verification?.stop() }
        if machine.isEnding { repairFindings() }
    }

    private func found(_ member: Member, _ finding: Verification.Finding, _ bytes: Int) {
        guard verification?.repairs == true || machine.isEnding else {
            return remember(member, finding, bytes)
        }
        switch finding {
        case .bytes(let range): member.markUnasked(range)
        case .size: _ = member.table.markLength()
        }
        verification?.counts.withLock { $0.repaired += bytes }
        wake()
    }

    /// Not marked, so the copier leaves it alone; but the job is not in sync as long as it stands.
    private func remember(_ member: Member, _ finding: Verification.Finding, _ bytes: Int) {
        let differing =
            member.differing ?? DirtyTable(granularity: granularity, gauge: WriteGauge())
        member.differing = differing
        switch finding {
        case .bytes(let range):
            differing.markUncounted(range)
            member.intents?.touch(range)
            member.intents?.request(range) {}
        case .size: _ = differing.markLength()
        }
        findings += bytes
        let wasFound = hasFindings.exchange(true, ordering: .acquiringAndReleasing)
        if !wasFound { keep() }
    }

    /// Marks what an earlier verification found and left alone.
    private func repairFindings() {
        guard hasFindings.load(ordering: .acquiring) else { return }
        for member in members { member.differing?.drain(into: member.table) }
        let bytes = findings
        forgetFindings()
        lastVerification.withLock { $0 }?.counts.withLock {
            $0.repaired = min($0.mismatched, $0.repaired + bytes)
        }
        wake()
    }

    private func forgetFindings() {
        for member in members { member.differing = nil }
        findings = 0
        hasFindings.store(false, ordering: .releasing)
    }

    private func verified() {
        let counts = verification?.counts.withLock { $0 }
        // What earlier ones found has been found again, or is equal by now.
        if let counts, counts.error == nil, counts.mismatched == 0 { forgetFindings() }
        if verification?.repairs == true, counts?.error == nil { repairFindings() }
        verification?.counts.withLock { $0.isOver = true }
        verification = nil
        publishReport()
        keep()
        services.tell(.verified, report())
        advance()
    }
}
