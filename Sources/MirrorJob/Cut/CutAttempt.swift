import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// The way from near agreement to a cut: the guest's writes held, `pre-cut` and `post-cut`, the
/// wait for a guest's flush, and what comes at the instant of agreement: the twin gets its name, or
/// the guest.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class CutAttempt: @unchecked Sendable {
    unowned let job: Job
    /// Runs `pre-cut` and `post-cut`.
    let hook: CutHook
    /// While `cut=flush` waits for a guest's flush.
    var flushWatch: FlushWatch?
    /// `pre-cut` was run, and `post-cut` was not.
    var isFrozen = false
    /// The checkpoints that existed when source and twin agreed last, for each member.
    private(set) var checkpoints: [[String]] = []
    private var heldSince: ContinuousClock.Instant?
    private var holdCount = 0
    private var nextHold = ContinuousClock.now

    init(_ job: Job) {
        self.job = job
        hook = CutHook(timeout: .milliseconds(job.settings.cutTimeout))
    }

    /// Calls `body` once everything that was to be run has been run.
    func afterHooks(_ body: @escaping @Sendable () -> Void) { hook.afterAll(body) }

    /// Whether the last hold that came to nothing was long enough ago.
    var mayHold: Bool { ContinuousClock.now >= nextHold }

    /// Source and twin are about to be looked at: whatever exists now marks every change after
    /// that.
    func noteCheckpoints() {
        checkpoints = job.members.map { job.services.checkpoints($0.image) }
    }

    /// Design, section 8, step 2: new writes of all members wait, reads go on. What is left is
    /// copied at once; the hold ends by agreement or after `max-pause`, whichever comes first.
    ///
    /// A write that depends on an acknowledged one of another member is held if that one was, and
    /// was done before its own door closed if not: the state at the instant when all doors are
    /// closed and all gauges idle has both or only the first.
    func hold() {
        heldSince = heldSince ?? .now
        holdCount += 1
        let number = holdCount
        for member in job.members {
            member.image.gate.hold(by: job) { [weak job = job] in job?.wake() }
        }
        job.wake()
        job.later(.milliseconds(job.settings.maxPause)) { [self] job in
            guard holdCount == number, job.machine.isHolding else { return }
            nextHold = .now + .seconds(1)
            job.forwarding.cutFailed()
            job.perform(job.machine.handle(.holdExpired))
        }
    }

    func lift() {
        stopWatchingFlushes()
        for member in job.members { member.image.lift(by: job) }
        guard let since = heldSince else { return }
        heldSince = nil
        job.counts.lastPause = Int((ContinuousClock.now - since) / .microseconds(1))
    }

    func publish() {
        job.onClerk(.publish) { [self] in
            publishTwins()
        } then: { [self] failure in
            if let (member, error) = failure {
                return job.trouble.fail(.target, error, member, in: .publication)
            }
            job.trouble.succeeded(.publication)
            job.perform(job.machine.handle(.published))
            job.copier.restartPass()
        }
    }

    private func publishTwins() -> (Member, Errno)? {
        for member in job.members {
            do throws(Errno) {
                // A delta never equals its image: it keeps its working name.
                if job.isDelta { member.twin.annotate(.partial) } else { try member.twin.publish() }
            } catch {
                return (member, error)
            }
        }
        return nil
    }
}
