import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

// On the job's queue: a job that was in sync and stands still leaves a twin that is a good past state of the
// image (`Standstill`): it is flushed, and its attributes say of when it is. Before the job writes again they
// say `inconsistent`, durably.

extension Job {
    /// What the twin is worth, as far as the queue knows: a change that comes meanwhile is not looked at.
    var worth: TwinWorth {
        TwinWorth(
            .init(
                phase: machine.phase, wasReady: machine.wasReady, isDelta: isDelta, agrees: false,
                isPastState: standstill.time != nil))
    }

    /// Source and twin agree at an instant just past. Where guest writes are forwarded, or still on their way,
    /// the twin is about to be a later state.
    func noteAgreement() {
        guard !isDelta, !isForwarding, members.allSatisfy({ $0.forwarder?.isIdle ?? true }),
            !hasFindings.load(ordering: .acquiring)
        else { return }
        standstill.agreed(at: WallClock.now.seconds)
    }

    /// Has the twin flushed and named a past state, once the job stands still.
    func standStill() {
        guard machine.isPaused, !machine.isOver else { return }
        progress.rest()
        guard machine.wasReady, !machine.isResuming, underWay.isStill,
            underWay.mayBegin(.flush)
        else { return }
        if standstill.stop() { return flush(settles: false) }
        if let time = standstill.say() { say(time) }
    }

    private func say(_ time: Int) {
        onClerk(.worth) { [members] in
            let isGood = members.allSatisfy { member in
                (try? member.twin.annotateDurably(.outdated, [("cut", "\(time)")])) != nil
            }
            if !isGood { for member in members { member.twin.annotate(.inconsistent) } }
            return isGood
        } then: { [self] isGood in
            standstill.said(isGood)
        }
    }

    /// First of all when the job may copy again.
    func leaveStandstill() {
        guard standstill.isSaid, machine.mayCopy, underWay.mayBegin(.worth) else { return }
        onClerk(.worth) { [self] in
            takeBack()
        } then: { [self] failure in
            if let (member, error) = failure {
                fail(.target, error, member, in: .worth)
            } else {
                standstill.takenBack()
                succeeded(.worth)
            }
            // Whoever asks from here on hears it, and only then is anything written.
            publishReport()
        }
    }

    private func takeBack() -> (Member, Errno)? {
        for member in members {
            do throws(Errno) { try member.twin.annotateDurably(.inconsistent) } catch {
                return (member, error)
            }
        }
        return nil
    }

    /// After a restart: the twins say that they are a past state.
    func findStandstill(_ time: Int?, isProven: Bool) {
        guard let time else { return }
        standstill.found(at: time, isProven: isProven)
        if isProven { return }
        // As soon as that can be; durably before anything is written.
        clerk.async { [self] in for member in members { member.twin.annotate(.inconsistent) } }
    }
}

extension CopyResult {
    /// Whether the twin was left as it was: the first read of the source failed.
    var wroteNothing: Bool { failure?.side == .source && copied == 0 && zeroes == 0 }
}
