import Dispatch
import MirrorCore
import MirrorImage
import MirrorTarget
import SystemPackage

/// What can fail, apart from the copy or the forward of an extent. Each is over when the same has
/// succeeded: a target that takes writes and fails every flush must come to the end of
/// `max-retries` too.
package enum Effort: Hashable, Sendable {
    case size, flush, publication, worth
}

/// Errors of source and target, and what becomes of them. A guest sees none of the target's.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class Trouble: @unchecked Sendable {
    unowned let job: Job
    /// The extent that failed last, until it is copied after all.
    private var troubled: (member: Member, extent: Range<Int>)?
    /// What else failed and has not succeeded since.
    private var troubledEfforts: Set<Effort> = []

    init(_ job: Job) { self.job = job }

    /// The user wants to go on: what has failed so far is not waited for.
    func forget() {
        job.counts.error = nil
        (troubled, troubledEfforts) = (nil, [])
    }

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
        guard !job.machine.isBackingOff, troubledEfforts.remove(effort) != nil else { return }
        recover()
    }

    /// Nothing is left to copy: what had failed was copied before its failure was told or while the
    /// job was backing off, or was cut off.
    func forgetIfOver() {
        guard job.machine.failures > 0, job.members.allSatisfy(\.table.isClean) else { return }
        troubled = nil
        recover()
    }

    private func recover() {
        guard troubled == nil, troubledEfforts.isEmpty, !job.machine.isPaused,
            !job.machine.isBackingOff
        else { return }
        job.counts.error = nil
        job.perform(job.machine.handle(.recovered))
    }

    /// An I/O error of source or target: counted, put into words, and the machine decides.
    package func fail(
        _ side: JobMachine.Side, _ error: Errno, _ member: Member, in effort: Effort? = nil
    ) {
        if let effort { troubledEfforts.insert(effort) }
        let isFull = side == .target && (error == .noSpace || error == .diskQuotaExceeded)
        if side == .source { job.counts.sourceErrors += 1 } else { job.counts.targetErrors += 1 }
        let actions = job.machine.handle(.failed(side, isFull: isFull))
        job.counts.error = words(side, error, member, isFull: isFull)
        job.perform(actions)
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
        if job.machine.isOver {
            return "the job has ended, the guest goes on; \(remedy), then start it anew"
        }
        if job.machine.isPaused {
            return "the copy has stopped, the guest goes on; \(remedy), then: twinfs resume"
                + " \(NameText.shown(job.id))"
        }
        return "the copy tries again by itself; \(remedy)"
    }

    /// The name that a twin has now.
    func shownTwin(_ member: Member) -> String {
        let hasName = job.machine.wasReady && !job.isDelta
        return hasName ? member.twin.place.name : member.twin.workingName
    }

    /// `ignore`: again after a pause that doubles with each failure in a row, 100 ms to 10 s,
    /// beginning with what failed.
    func backOff(_ failures: Int) {
        let milliseconds = min(10_000, 100 << min(failures - 1, 7))
        job.later(.milliseconds(milliseconds)) { [self] job in
            if let troubled {
                job.copier.goOn(with: troubled.member, from: troubled.extent.lowerBound)
            }
            job.perform(job.machine.handle(.retry))
            job.advance()
        }
    }
}
