import Dispatch
import MirrorCore
import SystemPackage

// On the job's queue: the end. Finished → detached from the image → concluded.

extension Job {
    /// The machine is in a final phase: no more holds, and no more marks once no write is under way.
    func finish() {
        lift()
        if machine.phase == .completed {
            counts.targetState = isDelta ? "partial" : "consistent"
            counts.error = nil
        }
        // From here on writes pass unmarked, and the record may not say yet that the job is over: a successor
        // must find nothing that it could believe (R10).
        if suspension == nil { dropTables() }
        detach(members[...])
    }

    private func dropTables() {
        if let keeper = services.keptBy { MemberTables.drop(uuid, members.count, keeper) }
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
        guard isDetached, !isLetGo, busyLanes == 0, !isClerkBusy, !isFlushing, !isVerifying,
            !intentCare.isClearing,
            members.allSatisfy({ $0.forwarder?.isIdle ?? true })
        else { return }
        isLetGo = true
        idleLanes = []
        let isWorthless = machine.phase != .completed && !isDelta
        let isSuspended = suspension != nil
        clerk.async { [self] in
            if isWorthless { for member in members { member.twin.annotate(.inconsistent) } }
            if isSuspended { saveMarks() }
            for member in members {
                if isSuspended { member.intents?.suspend() } else { member.dropIntents() }
                member.image.unfollow(member.source)
                member.close()
            }
            queue.async { [self] in
                conclude()
                // The report is made; the pages are not needed any more.
                for member in members {
                    member.table.forgetAll(from: 0)
                    member.unflushed.forgetAll(from: 0)
                }
            }
        }
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
            report.status = "aborting"
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
