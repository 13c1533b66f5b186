import Dispatch
import MirrorCore
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

// On the job's queue: design, section 8, steps 3 to 5. The machine has seen agreement under a hold, and the
// twins are flushed.

extension Job {
    /// A guest can go on only on what this machine can open.
    func refuseSwitchOver() throws(CommandError) {
        try refuseWhileAway("complete")
        for member in members where member.twin.descriptor == nil {
            throw CommandError(
                .notSupported,
                "job \(NameText.shown(id)): the guest cannot go on on \(member.twin.place.name), which"
                    + " is no file or device of this machine; use complete switch=off")
        }
        if machine.ending == .soft {
            throw CommandError(
                .badState,
                "job \(NameText.shown(id)): is ending without a switch-over already; start it anew")
        }
    }

    package func switchOver() {
        let moves = members.compactMap { member in
            member.twin.descriptor.map {
                Move(
                    image: member.image, twin: member.twin.place.path, descriptor: $0,
                    length: member.knownLength)
            }
        }
        clerk.async { [self] in
            let failure = serveFromTwins(moves)
            queue.async { [self] in switched(failure) }
        }
    }

    private func serveFromTwins(_ moves: [Move]) -> CommandError? {
        do throws(CommandError) {
            try services.switchOver(moves)
        } catch {
            return error
        }
        // They are images now, and nobody's twins.
        for member in members { member.twin.removeAnnotations() }
        return nil
    }

    /// A failure has changed nothing: the guest goes on on the source, and the job in ready.
    private func switched(_ failure: CommandError?) {
        if let failure { counts.error = "no switch-over: \(failure.message)" }
        perform(machine.handle(.switched(failure == nil)))
        endAgainAtShutDown()
        advance()
    }

    /// The mount ends and the job has fallen back to ready: the twin is to be worth something all the same.
    func endAgainAtShutDown() {
        guard whenEnded != nil, machine.phase == .ready else { return }
        perform(machine.handle(.end(.soft)))
    }
}
