import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

// On the job's queue: what comes right before and after a cut.

extension CutAttempt {
    /// `pre-cut`, such as a freeze of the guest's filesystems. Its failure aborts the cut, not the
    /// job.
    func runPreCut() {
        guard let program = job.settings.preCut else {
            return job.perform(job.machine.handle(.preCutDone(true)))
        }
        isFrozen = true
        // Whoever comes after this worker has to run `post-cut`.
        job.keep { [self] in
            hook.run(.preCut, program, hookArguments) { [weak job = job] failure in
                guard let job else { return }
                job.queue.async { job.cutAttempt.preCutDone(failure) }
            }
        }
    }

    private func preCutDone(_ failure: String?) {
        if let failure {
            job.counts.error = "no cut: \(failure); the job goes on, try again when it is mended"
        }
        job.perform(job.machine.handle(.preCutDone(failure == nil)))
        job.farewell.endAgainAtShutDown()
        job.advance()
    }

    /// `post-cut`: the guest may go on. Nobody waits for it; a failure is told as an event.
    func runPostCut() {
        isFrozen = false
        guard let program = job.settings.postCut else { return }
        hook.run(.postCut, program, hookArguments) { [weak job = job] failure in
            guard let job, let failure else { return }
            var report = job.report()
            report.error = failure
            job.services.tell(.hookFailed, report)
        }
    }

    private var hookArguments: [[UInt8]] { [job.id] + job.members.map(\.image.path.bytes) }

    /// `cut=flush`: the next guest's flush with nothing in flight is the cut; without one within
    /// `cut-wait` the cut comes anyway.
    func awaitFlush() {
        let watch = FlushWatch(
            images: { [weak job = job] in job?.members.map(\.image) },
            wake: { [weak job = job] in job?.wake() },
            seen: { [weak job = job] lift in
                guard let job else { return lift() }
                job.queue.async {
                    // The job's own hold takes over before the watch's ends.
                    job.cutAttempt.flushWatched(.flushSeen)
                    lift()
                }
            })
        flushWatch = watch
        for member in job.members { member.image.flushWatches.add(watch) }
        job.later(.milliseconds(job.settings.cutWait)) { [self] _ in
            guard flushWatch === watch, watch.end() else { return }
            flushWatched(.flushWaitOver)
        }
    }

    /// The mount ends: no guest will flush any more.
    func endWait() {
        if let watch = flushWatch, watch.end() { flushWatched(.flushWaitOver) }
    }

    private func flushWatched(_ event: JobMachine.Event) {
        stopWatchingFlushes()
        job.perform(job.machine.handle(event))
        job.advance()
    }

    /// No flush is of interest any more.
    func stopWatchingFlushes() {
        guard let watch = flushWatch else { return }
        flushWatch = nil
        _ = watch.end()
        for member in job.members { member.image.flushWatches.remove(watch) }
    }
}
