import Dispatch
import MirrorCore
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// A job that comes back after a restart. Its marks go on before anybody can write; its twins are
/// opened on the clerk, whenever they are there. Until then the job is in its phase, and nothing is
/// copied.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
package final class Comeback: @unchecked Sendable {
    unowned let job: Job
    /// What an earlier life has left; nil for a job that began in this one.
    let past: Resumption?
    /// Which mount of the job this is; while it is being raised, what the twins may say already.
    private(set) var generation = 1
    private(set) var nextGeneration: Int?
    /// How the job came back: the status' word.
    private(set) var resumed = ReturnProof.no
    /// What was left to copy then.
    private(set) var resumedBytes: Int?
    /// Attempts to open the twins again that have failed.
    private var reopenings = 0

    init(_ job: Job, _ past: Resumption?) { (self.job, self.past) = (job, past) }

    /// Longest pause between two attempts to open the twins, milliseconds.
    private static let longestPause = 30_000

    /// Before the mount serves anybody, so nothing has to be held. Does not wait for a target.
    package func begin() {
        guard let past else { return }
        job.listen()
        job.queue.sync {
            job.intentCare.inherit()
            for member in job.members { job.track(member) }
            restore(past)
            job.telling.publish()
        }
        job.queue.async { [job = job] in job.comeback.prepareReopening(past) }
    }

    private func restore(_ past: Resumption) {
        generation = past.record.generation
        (job.counts.total, job.counts.copied) = (past.record.total, past.record.copied)
        job.counts.zeroes = past.record.zeroes
        for (member, kept) in zip(job.members, past.record.members) where member.twin.hasFixedSize {
            // What lies behind the end that the device was last given is not the image's.
            member.knownLength = min(member.knownLength, kept.length)
        }
        // R10: a size may have been on its way.
        for member in job.members { _ = member.table.markLength() }
    }

    /// The next generation is kept before a twin can say it.
    private func prepareReopening(_ past: Resumption) {
        if past.record.frozen, past.life == .worker { job.cutAttempt.runPostCut() }
        guard past.nextGeneration != generation else { return reopen() }
        nextGeneration = past.nextGeneration
        job.keep { [self] in reopen() }
    }

    /// After a restart, and nobody has found yet that a twin is not there.
    package var isComingBack: Bool {
        job.machine.isResuming && !job.machine.isOver && reopenings == 0
    }

    /// The user asks for it: at once.
    func reopenNow() { if job.underWay.mayBegin(.reopen) { reopen() } }

    private func reopen() {
        guard job.machine.isResuming, !job.machine.isOver, job.underWay.mayBegin(.reopen), let past
        else { return }
        let stamp = JobStamp(uuid: job.uuid, generation: past.nextGeneration)
        let isNew = past.nextGeneration != generation
        job.onClerk(.reopen) { [self] in
            open(past, isNew ? stamp : nil)
        } then: { [self] result in
            opened(result, past)
        }
    }

    private enum Opened {
        case twins([ReturnedTwin])
        case absent(String)
        case refused(String)
        case ended(JobMachine.Phase)
    }

    /// On the clerk: all twins, or none.
    private func open(_ past: Resumption, _ stamp: JobStamp?) -> Opened {
        var twins: [ReturnedTwin] = []
        do throws(TwinReturn.Failure) {
            for (member, opening) in zip(job.members, past.members) {
                let twin = try opening.opening.open()
                twins.append(twin)
                // The next attempt's flush would say nothing of it.
                if !twin.isFlushed { member.lostFlush() }
            }
        } catch {
            for twin in twins { twin.parts.close() }
            switch error {
            case .absent(let words): return .absent(words)
            case .refused(let words): return .refused(words)
            case .ended(let phase): return .ended(phase)
            }
        }
        if isCut(twins, past) { return .twins(twins) }
        for (member, twin) in zip(job.members, twins) {
            if pastTime(twins) == nil { twin.parts.file?.annotate(.inconsistent, []) }
            guard let stamp else { continue }
            do throws(Errno) { try twin.parts.file?.stamp(stamp) } catch {
                member.lostFlush()
                for twin in twins { twin.parts.close() }
                return .absent(
                    "the twin \(job.members[0].twin.place.name) cannot be written: \(error)")
            }
        }
        return .twins(twins)
    }

    /// Whether the job had come to its end, and only its record had not.
    private func isCut(_ twins: [ReturnedTwin], _ past: Resumption) -> Bool {
        past.record.ending == .soft && !job.isDelta && twins.allSatisfy { $0.isCut && $0.isOwn }
    }

    /// The instant of which the twins say that they are; nil where they do not all say the same.
    private func pastTime(_ twins: [ReturnedTwin]) -> Int? {
        guard !job.isDelta, let time = twins[0].pastTime else { return nil }
        return twins.allSatisfy { $0.pastTime == time && $0.isOwn } ? time : nil
    }

    private func opened(_ result: Opened, _ past: Resumption) {
        if job.machine.isOver {
            if case .twins(let twins) = result { for twin in twins { twin.parts.close() } }
            return
        }
        switch result {
        case .refused(let words): refuse(words)
        case .absent(let words): tryAgain(words)
        case .ended(.completed): finishCut()
        case .ended(let phase):
            refuse(
                "was \(phase.rawValue) before the restart, which could not be kept in the state directory; the twin"
                    + " is left alone")
        case .twins(let twins):
            for (member, twin) in zip(job.members, twins) { member.twin.reopen(twin.parts) }
            if isCut(twins, past) { return finishCut() }
            goOn(twins, past)
        }
    }

    private func refuse(_ words: String) {
        job.counts.error = words
        job.perform(job.machine.handle(.refused))
    }

    private func tryAgain(_ words: String) {
        reopenings += 1
        job.counts.error =
            "\(words); the job came back after a restart and waits for it: changes are marked, the guest goes"
            + " on, and it is tried again by itself"
        job.perform(job.machine.handle(.absent))
        let pause = min(Self.longestPause, 250 << min(reopenings, 8))
        job.later(.milliseconds(pause)) { [self] _ in reopen() }
    }

    /// The cut was durable before the restart.
    private func finishCut() {
        job.counts.cutTime = job.members[0].twin.cutTime
        job.counts.error = nil
        job.perform(job.machine.handle(.cutFound))
    }
}

// What is known of what differs.

extension Comeback {
    private func goOn(_ twins: [ReturnedTwin], _ past: Resumption) {
        var proof = ReturnProof.worker
        var unproven: [Member] = []
        for (index, member) in job.members.enumerated() {
            let own = mark(member, past.members[index], twins[index], past)
            if own == .compare { unproven.append(member) }
            proof = max(proof, own)
        }
        for member in job.members { member.settle() }
        if job.isDelta, proof == .compare {
            return refuse(
                "what was written while the job was away is not known, and a sync=none twin without a seed"
                    + " cannot be compared; start it anew")
        }
        (generation, nextGeneration) = (past.nextGeneration, nil)
        job.counts.error = nil
        job.standing.find(pastTime(twins), isProven: proof <= .clean)
        job.intentCare.watch(refilling: unproven)
        tellResumed(proof, past)
        job.perform(job.machine.handle(.reopened(isProven: proof != .compare)))
        job.keep()
        if job.machine.phase == .created { return job.scan() }
        job.copier.restartPass()
    }

    private func tellResumed(_ proof: ReturnProof, _ past: Resumption) {
        resumed = proof
        resumedBytes = job.remaining
        if !past.record.wasReady || proof == .compare {
            job.counts.copied = max(0, job.counts.total - job.remaining)
        }
        job.telling.publish()
        job.services.tell(.resumed, job.report())
    }

    /// Marks what a member may differ in.
    private func mark(
        _ member: Member, _ past: Resumption.Member, _ twin: ReturnedTwin, _ all: Resumption
    ) -> ReturnProof {
        // What a verification had found was known to the dead worker alone.
        if all.record.verify == .found { return compare(member) }
        // Nothing was copied yet: the first pass is marked as at the beginning.
        let isNew = all.record.phase == .created
        let hasLostFlush = member.hasLostFlush
        switch all.life {
        case .worker where member.isTableWhole && twin.isOwn && twin.isFlushed:
            member.markUnflushed()
            return .worker
        case .worker: break
        case .mount where isNew && twin.isOwn && member.copiesAll:
            // The record may be older than what was copied since: a hole of the image need not be
            // one of the twin.
            if member.firstPass == .data || hasLostFlush { member.firstPass = .everything }
            return .clean
        case .mount:
            if let marks = past.marks, twin.isOwn, !hasLostFlush, fits(marks, past, twin) {
                for range in marks.ranges { member.table.markUncounted(range) }
                for range in marks.writtenRanges { member.written?.markUncounted(range) }
                return .clean
            }
            // Marks that do not fit say that somebody else was there.
            if past.marks == nil, twin.isOwn, !hasLostFlush,
                job.intentCare.markIntended(member, past, twin)
            {
                return .intent
            }
        }
        return compare(member)
    }

    private func compare(_ member: Member) -> ReturnProof {
        job.counts.total = max(job.counts.total, Int(clamping: member.knownLength))
        member.compareAll()
        return .compare
    }

    /// R10: nobody has changed either side.
    private func fits(
        _ marks: JobExtents, _ past: Resumption.Member, _ twin: ReturnedTwin
    ) -> Bool {
        marks.source.fits(past.source) && twin.status.map { marks.twin.fits($0) } ?? false
    }
}

extension Member {
    /// Whether its first pass leaves nothing out that could differ.
    fileprivate var copiesAll: Bool { checkpoint == nil && firstPass != .nothing }

    /// It is not known what differs: all of it is read on both sides, or written where reading
    /// proves nothing.
    fileprivate func compareAll() {
        firstPass = hasLostFlush ? .everything : .compare
        let end = max(knownLength, (try? imageSize()) ?? 0)
        table.markUncounted(ByteRange(0, end))
        _ = table.markLength()
    }
}
