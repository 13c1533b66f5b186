import Dispatch
import MirrorCore
import MirrorImage
import MirrorSystem
import MirrorTarget
import SystemPackage

// On the job's queue: the job stops before the target's filesystem is full (`SpaceWatch`).

/// What a job knows of the free space.
struct Space {
    var watch: SpaceWatch
    /// The job stands because of it.
    var hasStopped = false

    init(_ parameters: JobParameters) { watch = SpaceWatch(bufferSize: parameters.bufferSize) }
}

extension Copier {
    /// With the other policies the job would fail, or try again, whatever is foreseen.
    private var watchesSpace: Bool {
        job.machine.onTargetError == .stop || job.machine.onTargetError == .enospc
    }

    /// Bytes that were begun to be written.
    private var begun: Int {
        job.members.reduce(pace.started) { $0 + ($1.forwarder?.forwardedBytes ?? 0) }
    }

    /// Whether nothing may be taken before the clerk has looked. A hold waits for nothing.
    var awaitsSpace: Bool {
        watchesSpace && !job.machine.isHolding
            && space.watch.mustWait(at: .now - .origin, written: begun)
    }

    /// Has the clerk look where that is due.
    func watchSpace() {
        let written = begun
        guard watchesSpace, job.machine.mayCopy, job.underWay.mayBegin(.space),
            space.watch.isDue(at: .now - .origin, written: written)
        else { return }
        job.onClerk(.space) { [members = job.members] in
            members.compactMap { $0.twin.room() }.min()
        } then: { [self] available in
            looked(available, written)
        }
    }

    private func looked(_ available: Int?, _ written: Int) {
        guard job.isRunning else { return }
        let isShort = space.watch.looked(
            at: .now - .origin, available: available ?? .max, needed: job.remaining,
            written: written)
        let soon = max(SpaceWatch.brim, ((available ?? .max) - space.watch.reserve) / 2)
        for member in job.members { member.forwarder?.wake(after: soon) }
        if isShort, job.machine.mayCopy, let available { stopForSpace(available) }
    }

    /// Stops the job as if the filesystem were full.
    private func stopForSpace(_ available: Int) {
        space.hasStopped = true
        let name = NameText.shown(job.id)
        job.counts.error =
            "nospace: only \(ByteSize.text(available)) of space are left for the twin"
            + " \(job.trouble.shownTwin(job.members[0])): the copy has stopped before the disk is full, the guest"
            + " goes on; make room there, then: twinfs resume \(name)"
        job.perform(job.machine.handle(.failed(.target, isFull: true)))
    }

    /// The user wants to go on, whatever room there is.
    func resumeSpace() {
        if space.hasStopped { space.watch.waive() }
        space.hasStopped = false
    }
}
