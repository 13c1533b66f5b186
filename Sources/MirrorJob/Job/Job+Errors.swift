import Dispatch
package import MirrorCore
import MirrorImage
import MirrorTarget
package import SystemPackage

// On the job's queue: errors of source and target. A guest sees none of the target's.

/// What can fail, apart from the copy or the forward of an extent. Each is over when the same has
/// succeeded: a target that takes writes and fails every flush must come to the end of `max-retries` too.
package enum Effort: Hashable, Sendable {
    case size, flush, publication
}

extension Job {
    /// A copy failed; its extent is dirty again.
    package func failed(
        _ member: Member, _ extent: Range<Int>, _ side: JobMachine.Side, _ error: Errno
    ) {
        troubled = (member, extent)
        fail(side, error, member)
    }

    /// An extent was copied: an error that was passed over is over once what had failed is copied.
    package func copied(_ member: Member, _ extent: Range<Int>) {
        guard let trouble = troubled, trouble.member === member, trouble.extent.overlaps(extent)
        else { return }
        troubled = nil
        recover()
    }

    func succeeded(_ effort: Effort) {
        guard !machine.isBackingOff, troubledEfforts.remove(effort) != nil else { return }
        recover()
    }

    /// Nothing is left to copy: what had failed was copied before its failure was told or while the job was
    /// backing off, or was cut off.
    func forgetTrouble() {
        guard machine.failures > 0, members.allSatisfy(\.table.isClean) else { return }
        troubled = nil
        recover()
    }

    private func recover() {
        guard troubled == nil, troubledEfforts.isEmpty, !machine.isPaused, !machine.isBackingOff
        else { return }
        counts.error = nil
        perform(machine.handle(.recovered))
    }

    /// An I/O error of source or target: counted, put into words, and the machine decides.
    package func fail(
        _ side: JobMachine.Side, _ error: Errno, _ member: Member, in effort: Effort? = nil
    ) {
        if let effort { troubledEfforts.insert(effort) }
        let isFull = side == .target && (error == .noSpace || error == .diskQuotaExceeded)
        if side == .source { counts.sourceErrors += 1 } else { counts.targetErrors += 1 }
        let actions = machine.handle(.failed(side, isFull: isFull))
        counts.error = words(side, error, member, isFull: isFull)
        perform(actions)
    }

    private func words(
        _ side: JobMachine.Side, _ error: Errno, _ member: Member, isFull: Bool
    ) -> String {
        let what =
            if isFull {
                "nospace: no room for the twin \(shownTwin(member)) (\(error))"
            } else if side == .source {
                "reading the image \(shown(member.image.path)) failed: \(error)"
            } else {
                "writing the twin \(shownTwin(member)) failed: \(error)"
            }
        return "\(what): \(consequence(isFull ? "make room there" : "look at that disk"))"
    }

    /// What the job does about it, and what the user can do.
    private func consequence(_ remedy: String) -> String {
        if machine.isOver {
            return "the job has ended, the guest goes on; \(remedy), then start it anew"
        }
        if machine.isPaused {
            return "the copy has stopped, the guest goes on; \(remedy), then: twinfs resume"
                + " \(NameText.shown(id))"
        }
        return "the copy tries again by itself; \(remedy)"
    }

    /// The name that a twin has now.
    func shownTwin(_ member: Member) -> String {
        let hasName = machine.wasReady && !isDelta
        return hasName ? member.twin.place.name : member.twin.workingName
    }

    /// `ignore`: again after a pause that doubles with each failure in a row, 100 ms to 10 s, beginning with
    /// what failed.
    func backOff(_ failures: Int) {
        let milliseconds = min(10_000, 100 << min(failures - 1, 7))
        queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [weak self] in
            guard let self else { return }
            if let troubled, let index = members.firstIndex(where: { $0 === troubled.member }) {
                current = index
                troubled.member.cursor = troubled.extent.lowerBound
            }
            perform(machine.handle(.retry))
            advance()
        }
    }

    func announceError(_ side: JobMachine.Side, _ action: JobMachine.ErrorAction) {
        publishReport()
        var job = report()
        job.error = counts.error
        let side = side == .source ? "read" : "write"
        services.tell(.error(side: side, action: action.rawValue), job)
    }

    func announce() {
        // The end is told once the job is off its images (`conclude`).
        if machine.isOver || suspension != nil { return }
        publishReport()
        keep()
        // A job that has recovered from an ignored error is where it was.
        if toldStatus != machine.status { services.tell(.statusChange, report()) }
        toldStatus = machine.status
        if machine.phase == .ready || machine.phase == .completing, !hasToldReady {
            hasToldReady = true
            tellReady()
        }
    }

    /// As in QEMU `len` equals `offset` in this event, unless the guest has written since they agreed.
    private func tellReady() {
        var report = report()
        if remaining == 0, !isLengthDirty { report.len = report.offset }
        services.tell(.ready, report)
    }
}
