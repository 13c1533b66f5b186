import Dispatch
import MirrorCore
import SystemPackage

// On the job's queue: design, section 8, steps 3 to 5.

extension Job {
    func refuseSwitchOver() throws(CommandError) {
        throw CommandError(
            .notSupported, "complete: switch-over is not built yet: use complete switch=off")
    }

    func switchOver() { perform(machine.handle(.switched(false))) }
}
