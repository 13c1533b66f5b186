import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
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
        let watch = FlushWatch(job: self)
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

/// Waits for a guest's flush that finds nothing in flight on any image of a job.
final class FlushWatch: Sendable {
    private weak let job: Job?
    private let isDone = Atomic<Bool>(false)

    init(job: Job) { self.job = job }

    /// The first caller gets true.
    func end() -> Bool { !isDone.exchange(true, ordering: .acquiringAndReleasing) }

    /// A guest's flush has ended and was not answered yet. Closes the doors; keeps them closed if nothing is
    /// under way.
    func flushed() {
        guard let job, !isDone.load(ordering: .acquiring) else { return }
        // Of its own: another flush may hold and lift at the same time.
        let hold = Hold(job)
        let isQuiet = job.members.allSatisfy(\.image.gate.gauge.isIdle)
        guard isQuiet, end() else { return hold.lift() }
        job.queue.async {
            // The job's own hold takes over before this one ends.
            job.flushWatched(.flushSeen)
            hold.lift()
        }
    }

    private final class Hold: Sendable {
        private let job: Job

        init(_ job: Job) {
            self.job = job
            for member in job.members { member.image.gate.hold(by: self) { job.wake() } }
        }

        func lift() {
            for member in job.members { member.image.lift(by: self) }
        }
    }
}

/// Who wants to know of an image's flushes.
final class FlushWatches: Sendable {
    /// Looked at by every flush without the lock.
    private let count = Atomic<Int>(0)
    /// Protects the list. Leaf lock.
    private let watches = Mutex<[FlushWatch]>([])

    func add(_ watch: FlushWatch) {
        watches.withLock { watches in
            watches.append(watch)
            count.store(watches.count, ordering: .releasing)
        }
    }

    func remove(_ watch: FlushWatch) {
        watches.withLock { watches in
            watches.removeAll { $0 === watch }
            count.store(watches.count, ordering: .releasing)
        }
    }

    /// A guest's flush has ended well.
    func flushed() {
        if count.load(ordering: .acquiring) == 0 { return }
        for watch in watches.withLock({ $0 }) { watch.flushed() }
    }
}
