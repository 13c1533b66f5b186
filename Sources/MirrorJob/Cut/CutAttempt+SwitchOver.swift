import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

// On the job's queue: design, section 8, steps 3 to 5. The machine has seen agreement under a hold, and the
// twins are flushed.

extension CutAttempt {
    /// A guest can go on only on what this machine can open.
    func refuseSwitchOver() throws(CommandError) {
        try job.refuseWhileAway("complete")
        for member in job.members where member.twin.descriptor == nil {
            throw CommandError(
                .notSupported,
                "job \(NameText.shown(job.id)): the guest cannot go on on \(member.twin.place.name), which"
                    + " is no file or device of this machine; use complete switch=off")
        }
        if job.machine.ending == .soft {
            throw CommandError(
                .badState,
                "job \(NameText.shown(job.id)): is ending without a switch-over already; start it anew"
            )
        }
    }

    package func switchOver() {
        let moves = job.members.compactMap { member in
            member.twin.descriptor.map {
                Move(
                    image: member.image, twin: member.twin.place.path, descriptor: $0,
                    length: member.knownLength)
            }
        }
        job.onClerk(.switchOver) { [self] in
            serveFromTwins(moves)
        } then: { [self] failure in
            switched(failure)
        }
    }

    private func serveFromTwins(_ moves: [Move]) -> CommandError? {
        do throws(CommandError) {
            try job.services.switchOver(moves)
        } catch {
            return error
        }
        // They are images now, and nobody's twins.
        for member in job.members { member.twin.removeAnnotations() }
        return nil
    }

    /// A failure has changed nothing: the guest goes on on the source, and the job in ready.
    private func switched(_ failure: CommandError?) {
        if let failure { job.counts.error = "no switch-over: \(failure.message)" }
        job.perform(job.machine.handle(.switched(failure == nil)))
        job.farewell.endAgainAtShutDown()
    }
}
