import Dispatch
import MirrorCore
import SystemPackage

// On the job's queue: the end. Finished → detached from the image → concluded.

extension Job {
    /// The machine is in a final phase: no more holds, and no more marks once no write is under way.
    func finish() {
        lift()
        if machine.phase == .completed { counts.error = nil }
        dropTables()
        detach(members[...])
    }

    /// Before a change is missed: a worker that dies from here on must not leave tables that could be believed,
    /// as long as the record does not say that the job is over.
    private func dropTables() {
        guard suspension == nil, let keeper = services.keptBy else { return }
        MemberTables.drop(uuid, members.count, keeper)
    }

    private func detach(_ rest: ArraySlice<Member>) {
        guard let member = rest.first else {
            isDetached = true
            // A target that hangs keeps the twins open, but not the job alive.
            if suspension == nil {
                queue.asyncAfter(deadline: .now() + .seconds(1)) { [self] in conclude() }
            }
            return concludeIfQuiet()
        }
        let image = member.image
        image.twinFlushes.remove(self)
        image.quiesce(on: queue) { [self] in
            image.trackers.remove(member.table)
            detach(rest.dropFirst())
        }
    }

    /// Concludes as soon as nothing of the job is under way on sources and twins, and all are closed.
    func concludeIfQuiet() {
        guard isDetached, !isLetGo, underWay.isQuiet,
            members.allSatisfy({ $0.forwarder?.isIdle ?? true })
        else { return }
        isLetGo = true
        idleLanes = []
        let isWorthless = worth == .inconsistent
        let isSuspended = suspension != nil
        let end = endStamp
        askClerk { [self] in
            if isWorthless { for member in members { member.twin.annotate(.inconsistent) } }
            if let end {
                for member in members {
                    member.twin.file?.stampEnd(end, isDurable: !isWorthless)
                }
            }
            if isSuspended { saveMarks() }
            for member in members {
                if isSuspended { member.intents?.suspend() } else { member.dropIntents() }
                member.image.unfollow(member.source)
                member.close()
            }
        } then: { [self] in
            conclude()
            // The report is made; the pages are not needed any more.
            for member in members {
                member.table.forgetAll(from: 0)
                member.unflushed.forgetAll(from: 0)
                member.flushing.forgetAll(from: 0)
            }
        }
    }

    /// What the twins say from here on: the record may not be durable when the end is told, and a job whose end was
    /// told must not write them again. Nil where the job goes on with the next mount, or its twins are images now.
    private var endStamp: String? {
        let serves = machine.phase == .completed && machine.ending == .switchOver
        return suspension != nil || serves ? nil : JobStamp.end(uuid, machine.phase)
    }

    /// Tells the end: what a person does next with image and twin finds them free.
    private func conclude() {
        guard !isConcluded else { return }
        isConcluded = true
        for member in members { member.image.endJob() }
        // Whoever is told of the end may use the twin: a restart must not go on writing it.
        keep { [self] in tellConcluded() }
    }

    private func tellConcluded() {
        dropTables()
        markEnded()
        if suspension == nil {
            publishReport()
            tellStatus()
            services.tell(machine.phase == .cancelled ? .cancelled : .completed, report())
        }
        services.ended(self)
        tellEnd()
    }

    /// As in QEMU a job that did not succeed passes through `aborting`.
    private func tellStatus() {
        var report = report()
        if machine.phase != .completed {
            report.status = .aborting
            services.tell(.statusChange, report)
            report.status = machine.status
        }
        services.tell(.statusChange, report)
    }

    /// Tells whoever waits for the end of the mount.
    func tellEnd() {
        guard let told = whenEnded.take() else { return }
        // A guest that `pre-cut` has frozen is thawed before the daemon ends.
        hook.afterAll(told)
    }
}
