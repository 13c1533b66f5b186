import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

/// What the twin is worth. A job that was in sync and stands still leaves a twin that is a good
/// past state of the image (`Standstill`): it is flushed, and its attributes say of when it is.
/// Before the job writes again they say `inconsistent`, durably.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class Standing: @unchecked Sendable {
    unowned let job: Job
    /// Whether the twin is a past state of the image.
    private var standstill = Standstill()

    init(_ job: Job) { self.job = job }

    /// The instant of which the twin is, once its attributes say so; else nil.
    var pastTime: Int? { standstill.time }
    /// Whether the twin's attributes may say that it is a past state: nothing may be written to it.
    var isSaid: Bool { standstill.isSaid }

    /// Something was written to the twin, or is found to be lost there, or to differ.
    func forget() { standstill.forget() }

    /// A flush of the twins has succeeded.
    func flushed() { standstill.flushed() }

    /// What the twin is worth, as far as the queue knows: a change that comes meanwhile is not
    /// looked at.
    var worth: TwinWorth {
        TwinWorth(
            .init(
                phase: job.machine.phase, wasReady: job.machine.wasReady, isDelta: job.isDelta,
                agrees: false,
                isPastState: standstill.time != nil))
    }

    /// Source and twin agree at an instant just past. Where guest writes are forwarded, or still on
    /// their way, the twin is about to be a later state.
    func noteAgreement() {
        guard !job.isDelta, !job.forwarding.isOn,
            job.members.allSatisfy({ $0.forwarder?.isIdle ?? true }),
            !job.verifying.hasFindings
        else { return }
        standstill.agreed(at: WallClock.now.seconds)
    }

    /// Has the twin flushed and named a past state, once the job stands still.
    func standStill() {
        guard job.machine.isPaused, !job.machine.isOver else { return }
        job.copier.rest()
        guard job.machine.wasReady, !job.machine.isResuming, job.underWay.isStill,
            job.underWay.mayBegin(.flush)
        else { return }
        if standstill.stop() { return job.twinFlush.begin(settles: false) }
        if let time = standstill.say() { say(time) }
    }

    private func say(_ time: Int) {
        job.onClerk(.worth) { [members = job.members] in
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
    func leave() {
        guard standstill.isSaid, job.machine.mayCopy, job.underWay.mayBegin(.worth) else { return }
        job.onClerk(.worth) { [self] in
            takeBack()
        } then: { [self] failure in
            if let (member, error) = failure {
                job.trouble.fail(.target, error, member, in: .worth)
            } else {
                standstill.takenBack()
                job.trouble.succeeded(.worth)
            }
            // Whoever asks from here on hears it, and only then is anything written.
            job.telling.publish()
        }
    }

    private func takeBack() -> (Member, Errno)? {
        for member in job.members {
            do throws(Errno) { try member.twin.annotateDurably(.inconsistent) } catch {
                return (member, error)
            }
        }
        return nil
    }

    /// After a restart: the twins say that they are a past state.
    func find(_ time: Int?, isProven: Bool) {
        guard let time else { return }
        standstill.found(at: time, isProven: isProven)
        if isProven { return }
        // Begins as soon as it can, and is durable before anything is written.
        job.clerk.async { [members = job.members] in
            for member in members { member.twin.annotate(.inconsistent) }
        }
    }
}

extension CopyResult {
    /// Whether the twin was left as it was: the first read of the source failed.
    var wroteNothing: Bool { failure?.side == .source && copied == 0 && zeroes == 0 }
}
