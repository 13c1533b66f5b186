import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

extension Job {
    /// Attaches the trackers, each at an instant when no write of its image is under way, then
    /// looks up what has to be copied. `started` is called on the queue once marks are kept.
    ///
    /// Tracking starts before the extents are looked up: a write that the lookup misses is marked.
    package func begin(_ started: @escaping @Sendable () -> Void) {
        listen()
        attach(members[...], then: started)
    }

    /// From here on `wake` is heard.
    func listen() {
        wakeSource.setEventHandler { [weak self] in self?.advance() }
        wakeSource.activate()
    }

    private func attach(
        _ rest: ArraySlice<Member>, then started: @escaping @Sendable () -> Void
    ) {
        guard let member = rest.first else {
            telling.publish()
            keep(then: started)
            return scan()
        }
        member.image.quiesce(on: queue) { [self] in
            // Ended before it began (the image was deleted): whoever asked is answered all the same
            // (R8).
            if machine.isOver { return started() }
            attach(member)
            attach(rest.dropFirst(), then: started)
        }
    }

    private func attach(_ member: Member) {
        track(member)
        cloneSeed(member)
        refuseLostCheckpoint(member)
    }

    /// Every change of the image is marked from now on. Only while none is under way.
    func track(_ member: Member) {
        let image = member.image
        member.keepLength = { [weak self] in self?.telling.keepNow() ?? true }
        member.forwarder = forwarding.makeForwarder(member)
        let tracker = Tracker(
            table: member.table, forwarder: member.forwarder, intents: member.intents?.gate
        ) { [weak self] in
            self?.wake()
        }
        let size = (try? member.imageSize()) ?? member.knownLength
        member.knownLength = size
        image.end.reached(size)
        _ = image.end.mayHaveGrown(to: size, since: image.end.begin(), isCertain: true)
        image.trackers.add(tracker)
        _ = member.table.markLength()
        // From here on no mark is missed; whether the first pass is marked the record says. A job
        // that comes back has yet to find out what differs.
        if comeback.past == nil { member.settle() }
        twinFlush.answerFlushes(of: image)
    }

    /// `sync=incremental`: what the checkpoint has marked so far, and what this job marks from now
    /// on, is all that changed: in between lies no write. Its marks may so be copied later
    /// (`Member.markFirstPass`).
    private func refuseLostCheckpoint(_ member: Member) {
        guard let checkpoint = member.checkpoint, !checkpoint.isKept else { return }
        counts.error =
            "the checkpoint \(checkpoint.name) was deleted before the job began; its twin is kept"
        perform(machine.handle(.end(.now)))
    }

    /// `seed=reflink`: the clone and the start of tracking are one instant, since no write is under
    /// way. A clone shares extents and copies nothing; the image's pages in memory were written
    /// back beforehand.
    private func cloneSeed(_ member: Member) {
        guard settings.seed == .reflink else { return }
        do throws(Errno) { try member.twin.clone(from: member.source) } catch {
            // It has what it had when the job was asked for: everything is to be copied.
            member.table.markUncounted(ByteRange(0, member.knownLength))
            trouble.fail(.target, error, member)
        }
    }

    func scan() {
        onClerk(.scan) { [members] in
            members.reduce(0) { $0 + $1.markFirstPass() }
        } then: { [self] wanted in
            counts.total = wanted
            copier.restartPass()
            copier.sampleRates()
            perform(machine.handle(.started))
            telling.armTick()
            intentCare.watch()
        }
    }
}

// What the mount asks of a job's parts.

extension Job {
    /// Write-intent logs, durable when this returns. Blocks; before the job begins.
    package func makeIntents() { intentCare.make() }
    /// What is wrong with its write-intent logs, in words. Any thread.
    package var intentWarning: String? { intentCare.warning }
    /// A job of an earlier mount, before this one serves anybody.
    package func comeBack() { comeback.begin() }
    /// After a restart, and nobody has found yet that a twin is not there.
    package var isComingBack: Bool { comeback.isComingBack }
}
