import Dispatch
import MirrorCore
import SystemPackage

// On the job's queue: errors of source and target. A guest sees none of the target's.

extension Job {
    /// A copy failed; its extent is dirty again.
    func failed(_ member: Member, _ extent: Range<Int>, _ side: JobMachine.Side, _ error: Errno) {
        troubled = (member, extent)
        fail(side, error, member)
    }

    /// An extent was copied: an error that was passed over is over once what had failed is copied.
    func copied(_ member: Member, _ extent: Range<Int>) {
        guard let trouble = troubled, trouble.member === member, trouble.extent.overlaps(extent)
        else { return }
        troubled = nil
        if !machine.isPaused { counts.error = nil }
        perform(machine.handle(.recovered))
    }

    /// A flush, a size or a publication went well: the same for errors of those.
    func workedAgain() {
        guard troubled == nil, machine.failures > 0, !machine.isPaused else { return }
        counts.error = nil
        perform(machine.handle(.recovered))
    }

    /// An I/O error of source or target: counted, put into words, and the machine decides.
    func fail(_ side: JobMachine.Side, _ error: Errno, _ member: Member) {
        let isFull = side == .target && (error == .noSpace || error == .diskQuotaExceeded)
        if side == .source { counts.sourceErrors += 1 } else { counts.targetErrors += 1 }
        counts.error = words(side, error, member, isFull: isFull)
        perform(machine.handle(.failed(side, isFull: isFull)))
    }

    private func words(
        _ side: JobMachine.Side, _ error: Errno, _ member: Member, isFull: Bool
    ) -> String {
        let name = NameText.shown(id)
        if isFull {
            return
                "nospace: no room for the twin \(member.twin.workingName) (\(error)): the copy has"
                + " stopped, the guest goes on; make room there, then: twinfs resume \(name)"
        }
        let place =
            side == .source
            ? "reading the image \(shown(member.image.path))"
            : "writing the twin \(member.twin.workingName)"
        return
            "\(place) failed: \(error); look at that disk, then: twinfs resume \(name) where the job is"
            + " paused, or start it anew"
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
        if machine.isOver { return }
        publishReport()
        // A job that has recovered from an ignored error is where it was.
        if toldStatus != machine.status { services.tell(.statusChange, report()) }
        toldStatus = machine.status
        if machine.phase == .ready || machine.phase == .completing, !hasToldReady {
            hasToldReady = true
            services.tell(.ready, report())
        }
    }
}
