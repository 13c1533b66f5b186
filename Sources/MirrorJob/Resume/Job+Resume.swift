import Dispatch
import MirrorCore
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

// A job that comes back after a restart. Its marks go on before anybody can write; its twins are opened on the
// clerk, whenever they are there. Until then the job is in its phase, and nothing is copied.

extension Job {
    /// Longest pause between two attempts to open the twins, milliseconds.
    private static let longestPause = 30_000

    /// Before the mount serves anybody, so nothing has to be held. Does not wait for a target.
    package func comeBack() {
        guard let past else { return }
        wakeSource.setEventHandler { [weak self] in self?.advance() }
        wakeSource.activate()
        queue.sync {
            inheritIntents()
            for member in members { track(member) }
            restore(past)
            publishReport()
        }
        queue.async { [self] in prepareReopening(past) }
    }

    private func restore(_ past: Resumption) {
        generation = past.record.generation
        (counts.total, counts.copied) = (past.record.total, past.record.copied)
        counts.zeroes = past.record.zeroes
        for (member, kept) in zip(members, past.record.members) where member.twin.isDevice {
            // What lies behind the end that the device was last given is not the image's.
            member.knownLength = min(member.knownLength, kept.length)
        }
        // R10: a size may have been on its way.
        for member in members { _ = member.table.markLength() }
    }

    /// The next generation is kept before a twin can say it.
    private func prepareReopening(_ past: Resumption) {
        if past.record.frozen, past.life == .worker { runPostCut() }
        guard past.nextGeneration != generation else { return reopen() }
        nextGeneration = past.nextGeneration
        keep { [self] in reopen() }
    }

    /// After a restart, and nobody has found yet that a twin is not there.
    package var isComingBack: Bool { machine.isResuming && !machine.isOver && reopenings == 0 }

    /// The user asks for it: at once.
    func reopenNow() { if !isClerkBusy { reopen() } }

    private func reopen() {
        guard machine.isResuming, !machine.isOver, !isClerkBusy, let past else { return }
        isClerkBusy = true
        let stamp = JobStamp(uuid: uuid, generation: past.nextGeneration)
        let isNew = past.nextGeneration != generation
        clerk.async { [self] in
            let result = open(past, isNew ? stamp : nil)
            queue.async { [self] in
                isClerkBusy = false
                opened(result, past)
                advance()
            }
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
            for (member, opening) in zip(members, past.members) {
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
        for (member, twin) in zip(members, twins) {
            twin.parts.file?.annotate(.inconsistent, [])
            guard let stamp else { continue }
            do throws(Errno) { try twin.parts.file?.stamp(stamp) } catch {
                member.lostFlush()
                for twin in twins { twin.parts.close() }
                return .absent("the twin \(members[0].twin.place.name) cannot be written: \(error)")
            }
        }
        return .twins(twins)
    }

    /// Whether the job had come to its end, and only its record had not.
    private func isCut(_ twins: [ReturnedTwin], _ past: Resumption) -> Bool {
        past.record.ending == "soft" && !isDelta && twins.allSatisfy { $0.isCut && $0.isOwn }
    }

    private func opened(_ result: Opened, _ past: Resumption) {
        if machine.isOver {
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
            for (member, twin) in zip(members, twins) { member.twin.reopen(twin.parts) }
            if isCut(twins, past) { return finishCut() }
            goOn(twins, past)
        }
    }

    private func refuse(_ words: String) {
        counts.error = words
        perform(machine.handle(.refused))
    }

    private func tryAgain(_ words: String) {
        reopenings += 1
        counts.error =
            "\(words); the job came back after a restart and waits for it: changes are marked, the guest goes"
            + " on, and it is tried again by itself"
        perform(machine.handle(.absent))
        let pause = min(Self.longestPause, 250 << min(reopenings, 8))
        queue.asyncAfter(deadline: .now() + .milliseconds(pause)) { [weak self] in self?.reopen() }
    }

    /// The cut was durable before the restart.
    private func finishCut() {
        counts.cutTime = members[0].twin.cutTime
        counts.error = nil
        perform(machine.handle(.cutFound))
    }
}

// What is known of what differs.

extension Job {
    private func goOn(_ twins: [ReturnedTwin], _ past: Resumption) {
        var proof = Resumption.Proof.worker
        var unproven: [Member] = []
        for (index, member) in members.enumerated() {
            let own = mark(member, past.members[index], twins[index], past)
            if own == .compare { unproven.append(member) }
            proof = max(proof, own)
        }
        for member in members { member.settle() }
        if isDelta, proof == .compare {
            return refuse(
                "what was written while the job was away is not known, and a sync=none twin without a seed"
                    + " cannot be compared; start it anew")
        }
        (generation, nextGeneration) = (past.nextGeneration, nil)
        counts.error = nil
        watchIntents(refilling: unproven)
        tellResumed(proof, past)
        perform(machine.handle(.reopened(isProven: proof != .compare)))
        keep()
        if machine.phase == .created { return scan() }
        restartPass()
    }

    private func tellResumed(_ proof: Resumption.Proof, _ past: Resumption) {
        resumed = proof.rawValue
        resumedBytes = remaining
        if !past.record.wasReady || proof == .compare {
            counts.copied = max(0, counts.total - remaining)
        }
        publishReport()
        services.tell(.resumed, report())
    }

    /// Marks what a member may differ in.
    private func mark(
        _ member: Member, _ past: Resumption.Member, _ twin: ReturnedTwin, _ all: Resumption
    ) -> Resumption.Proof {
        // What a verification had found was known to the dead worker alone.
        if all.record.verify == JobRecord.found { return compare(member) }
        // Nothing was copied yet: the first pass is marked as at the beginning.
        let isNew = all.record.phase == JobMachine.Phase.created.rawValue
        let hasLostFlush = member.hasLostFlush
        switch all.life {
        case .worker where member.isTableWhole && twin.isOwn && twin.isFlushed:
            member.markUnflushed()
            return .worker
        case .worker: break
        case .mount where isNew && twin.isOwn && member.copiesAll:
            // The record may be older than what was copied since: a hole of the image need not be one of the twin.
            if member.firstPass == .data || hasLostFlush { member.firstPass = .everything }
            return .clean
        case .mount:
            if let marks = past.marks, twin.isOwn, !hasLostFlush, fits(marks, past, twin) {
                for range in marks.ranges { member.table.markUncounted(range) }
                for range in marks.writtenRanges { member.written?.markUncounted(range) }
                return .clean
            }
            // Marks that do not fit say that somebody else was there.
            if past.marks == nil, twin.isOwn, !hasLostFlush, markIntended(member, past, twin) {
                return .intent
            }
        }
        return compare(member)
    }

    private func compare(_ member: Member) -> Resumption.Proof {
        counts.total = max(counts.total, Int(clamping: member.knownLength))
        member.compareAll()
        return .compare
    }

    /// R10: nobody has changed either side.
    private func fits(
        _ marks: JobMarks, _ past: Resumption.Member, _ twin: ReturnedTwin
    ) -> Bool {
        marks.source.fits(past.source) && twin.status.map { marks.twin.fits($0) } ?? false
    }
}

extension Member {
    /// Whether its first pass leaves nothing out that could differ.
    fileprivate var copiesAll: Bool { checkpoint == nil && firstPass != .nothing }

    /// It is not known what differs: all of it is read on both sides, or written where reading proves nothing.
    fileprivate func compareAll() {
        firstPass = hasLostFlush ? .everything : .compare
        let end = max(knownLength, (try? imageSize()) ?? 0)
        table.markUncounted(ByteRange(0, end))
        _ = table.markLength()
    }
}
