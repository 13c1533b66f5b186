import Dispatch
import MirrorCore
import MirrorImage
import MirrorSystem
import SystemPackage

// On the job's queue: what comes right before and after a cut.

extension Job {
    /// `pre-cut`, such as a freeze of the guest's filesystems. Its failure aborts the cut, not the job.
    func runPreCut() {
        guard let program = parameters.preCut else {
            return perform(machine.handle(.preCutDone(true)))
        }
        isFrozen = true
        // Whoever comes after this worker has to run `post-cut`.
        keep { [self] in
            hook.run(.preCut, program, hookArguments) { [weak self] failure in
                guard let self else { return }
                queue.async { self.preCutDone(failure) }
            }
        }
    }

    private func preCutDone(_ failure: String?) {
        if let failure {
            counts.error = "no cut: \(failure); the job goes on, try again when it is mended"
        }
        perform(machine.handle(.preCutDone(failure == nil)))
        endAgainAtShutDown()
        advance()
    }

    /// `post-cut`: the guest may go on. Nobody waits for it; a failure is told as an event.
    func runPostCut() {
        isFrozen = false
        guard let program = parameters.postCut else { return }
        hook.run(.postCut, program, hookArguments) { [weak self] failure in
            guard let self, let failure else { return }
            var job = report()
            job.error = failure
            services.tell(.hookFailed, job)
        }
    }

    private var hookArguments: [[UInt8]] { [id] + members.map(\.image.path.bytes) }

    /// `cut=flush`: the next guest's flush with nothing in flight is the cut; without one within `cut-wait`
    /// the cut comes anyway.
    func awaitFlush() {
        let watch = FlushWatch(
            images: { [weak self] in self?.members.map(\.image) },
            wake: { [weak self] in self?.wake() },
            seen: { [weak self] lift in
                guard let self else { return lift() }
                queue.async {
                    // The job's own hold takes over before the watch's ends.
                    self.flushWatched(.flushSeen)
                    lift()
                }
            })
        flushWatch = watch
        for member in members { member.image.flushWatches.add(watch) }
        queue.asyncAfter(deadline: .now() + .milliseconds(parameters.cutWait)) { [weak self] in
            guard let self, flushWatch === watch, watch.end() else { return }
            flushWatched(.flushWaitOver)
        }
    }

    func flushWatched(_ event: JobMachine.Event) {
        stopWatchingFlushes()
        perform(machine.handle(event))
        advance()
    }

    /// No flush is of interest any more.
    func stopWatchingFlushes() {
        guard let watch = flushWatch else { return }
        flushWatch = nil
        _ = watch.end()
        for member in members { member.image.flushWatches.remove(watch) }
    }
}
