import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

// On the job's queue: the write-intent logs of its members, which are cleared behind the copier
// (R11).
//
// A pass needs a flush of the twins that begins after it has chosen its candidates. In bulk the
// flushes on the way are used; else one is made every few seconds, as long as there is something to
// clear. When it went well the sources are made durable, on a queue of their own, and the bits are
// cleared.

/// What the job does for its logs.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
package final class IntentCare: @unchecked Sendable {
    /// Between two looks at what was written. The files are looked at five times as often.
    package static let period = Duration.seconds(5)
    /// Looks at the files after the last change.
    static let calmLooks = 3

    unowned let job: Job
    /// Where sources are made durable.
    let queue = DispatchQueue(label: "twinfs.intent.clear", qos: .utility)
    /// The table has all marks of the first pass, or of what was found: what is clean in it is
    /// equal.
    private var isOn = false
    private var isHeldBack = false
    private var isTicking = false
    private var lastAge = ContinuousClock.now
    /// Ticks in a row that found nothing changed.
    private var calm = 0
    /// What the files were like at the last tick.
    private var stamps: [FileStamp] = []
    /// What a tick has chosen, for the flush that it asks for.
    private var chosen: [IntentChoice]?
    /// Why the logs are not kept. For other threads.
    private let note = Mutex<String?>(nil)

    init(_ job: Job) { self.job = job }

    /// What is wrong with the logs, in words; nil where nothing is. Any thread.
    package var warning: String? { note.withLock { $0 } }
}

/// The extents of one member that may be cleared once both of its sides are durable.
package struct IntentChoice: Sendable {
    let member: Member
    let log: IntentLog
    let candidates: IntentLog.Candidates
    /// Flushes that the guest had begun by then.
    let flushes: Int

    init?(_ member: Member) {
        guard let log = member.intents else { return nil }
        flushes = member.image.flushCount.now
        candidates = log.candidates(member.table, member.image.gate.gauge)
        if candidates.isEmpty { return nil }
        (self.member, self.log) = (member, log)
    }

    /// Makes the source durable where the guest has not done so since. May take long.
    func settle(then done: @escaping @Sendable () -> Void) {
        if !member.image.flushCount.isDone(after: flushes) {
            guard (try? member.source.synchronize(dataOnly: true)) != nil else { return done() }
        }
        log.clear(candidates, member.table, member.image.gate.gauge, then: done)
    }
}

extension IntentCare {
    /// Makes a log for each member, durable when this returns. Blocks; before the job begins.
    /// Without one the job goes on, and the status says what that means.
    package func make() {
        guard let directory = intentDirectory else { return }
        for (index, member) in job.members.enumerated() { make(member, index, directory) }
    }

    /// The logs of the job's earlier life; before anybody can write. Where there is none to believe
    /// a new one is made that intends everything.
    func inherit() {
        guard let directory = intentDirectory else { return }
        for (index, member) in job.members.enumerated() {
            if member.openIntents("\(job.uuid)-\(index)", in: directory) {
                beginKeeping(member)
            } else {
                make(member, index, directory)
            }
        }
    }

    private var intentDirectory: StateDirectory? {
        job.settings.intent ? job.services.records.directory : nil
    }

    private func make(_ member: Member, _ index: Int, _ directory: StateDirectory) {
        do throws(Errno) {
            let isFull = !job.isDelta || job.comeback.past != nil
            try member.makeIntents("\(job.uuid)-\(index)", in: directory, isFull: isFull)
            beginKeeping(member)
        } catch {
            warnOfIntents("cannot be made (\(error)): after a crash everything is compared")
        }
    }

    /// A member's log is in use from here on.
    private func beginKeeping(_ member: Member) {
        guard let log = member.intents else { return }
        log.voided.withLock { voided in
            voided = { [weak job = job, weak member] error, done in
                guard let job, let member else { return done() }
                job.intentCare.intentsAreVoid(member, error, done)
            }
        }
        guard job.services.ignoresIntents else { return }
        log.bits.admitsAll.store(true, ordering: .sequentiallyConsistent)
        warnOfIntents("is NOT KEPT on purpose: a power cut makes source and twin differ unseen")
    }

    private func warnOfIntents(_ what: String) {
        note.withLock { $0 = "\(NameText.shown(job.id)): its write-intent log \(what)" }
    }

    /// Marks what may differ after the host has died; false where the log is not to be believed.
    func markIntended(
        _ member: Member, _ past: Resumption.Member, _ twin: ReturnedTwin
    ) -> Bool {
        if job.isDelta { return false }
        let verdict = Trust.verdict(
            member.foundIntents, source: past.source, twin: twin.status,
            isVoid: member.isVoidSomewhere(twin.parts.file))
        guard case .intent(let ranges) = verdict else { return false }
        let end = max(member.knownLength, past.source.size)
        for range in ranges { member.table.markUncounted(range.clamped(below: end)) }
        return true
    }

    /// The logs of a job that comes back are in use; those of `unproven` intend everything first,
    /// which is marked already. Until that is durable nothing is noted that could make them be
    /// believed.
    func watch(refilling unproven: [Member]) {
        isHeldBack = true
        let group = DispatchGroup()
        for member in unproven {
            guard let log = member.intents else { continue }
            group.enter()
            log.request(ByteRange(0, max(1, member.knownLength))) { group.leave() }
        }
        group.notify(queue: job.queue) { [job = job] in
            job.askClerk {
                for member in unproven { member.forgetVoid() }
            } then: {
                job.intentCare.holdBackNoMore()
            }
        }
    }

    private func holdBackNoMore() {
        isHeldBack = false
        watch()
    }

    /// From the start of the job until its logs are closed: looks once a second while anything is
    /// written.
    func watch() {
        if isHeldBack { return }
        isOn = true
        for member in job.members {
            member.intents?.grown.withLock {
                $0 = { [weak job = job] in job?.intentCare.intentsHaveGrown() }
            }
        }
        armIntentTick()
    }

    private func intentsHaveGrown() {
        job.queue.async { [job = job] in
            job.intentCare.calm = 0
            job.intentCare.armIntentTick()
        }
    }

    private func armIntentTick() {
        guard !isTicking, !job.machine.isOver,
            job.members.contains(where: { $0.intents != nil })
        else { return }
        isTicking = true
        let milliseconds = Int(job.services.intentPeriod / .milliseconds(5))
        job.later(.milliseconds(milliseconds)) { [self] _ in intentTick() }
    }

    /// The files are looked at on the clerk: a target may hang.
    private func intentTick() {
        isTicking = false
        guard !job.machine.isOver else { return }
        let ages = ContinuousClock.now - lastAge >= job.services.intentPeriod
        if ages { lastAge = .now }
        let clears = ages && mayClear
        // The clerk may be busy for long.
        for member in job.members { member.intents?.beat() }
        job.askClerk { [members = job.members] in
            let stamps = members.flatMap { $0.beat() }
            if ages { for member in members { member.intents?.age() } }
            return (stamps, clears ? members.compactMap { IntentChoice($0) } : [])
        } then: { [self] stamps, chosen in
            intentsSeen(stamps, chosen)
        }
    }

    private func intentsSeen(_ stamps: [FileStamp], _ chosen: [IntentChoice]) {
        calm = stamps == self.stamps ? calm + 1 : 0
        self.stamps = stamps
        if !chosen.isEmpty, mayClear {
            self.chosen = chosen
            job.twinFlush.begin(settles: false)
        }
        let isLeft = job.members.contains {
            ($0.intents?.setCount.load(ordering: .relaxed) ?? 0) > 0
        }
        if isLeft || calm < IntentCare.calmLooks { armIntentTick() }
    }

    /// Whether a flush for the sake of the logs hurts nobody.
    private var mayClear: Bool {
        job.isRunning && isOn && job.underWay.mayBegin(.clearIntents)
            && !job.verifying.hasFindings && !job.machine.isEnding && !job.machine.isPaused
            && !job.machine.isBackingOff
    }

    /// What the flush that begins may let be cleared; asked on the clerk before it. Nil where
    /// nothing may.
    func choose(settles: Bool) -> (@Sendable () -> [IntentChoice])? {
        let chosen = self.chosen
        self.chosen = nil
        if settles || !isOn || job.underWay.has(.clearIntents)
            || job.verifying.hasFindings
            || job.members.allSatisfy({ $0.intents == nil })
        {
            return nil
        }
        if let chosen { return { chosen } }
        return { [members = job.members] in members.compactMap { IntentChoice($0) } }
    }

    /// The twins are durable.
    package func clear(_ chosen: [IntentChoice]) {
        if chosen.isEmpty { return }
        job.underWay.enter(.clearIntents)
        queue.async { [job = job] in
            let group = DispatchGroup()
            for choice in chosen {
                group.enter()
                choice.settle { group.leave() }
            }
            group.notify(queue: job.queue) {
                job.underWay.leave(.clearIntents)
                job.advance()
            }
        }
    }

    /// A log could not be kept: its source and its twin say so before a write goes on that it does
    /// not know of. On a thread of its own each, as either may hang; the log does not wait for
    /// ever.
    private func intentsAreVoid(
        _ member: Member, _ error: Errno, _ done: @escaping @Sendable () -> Void
    ) {
        let told = FirstCall(done)
        for side in [member.markVoidTwin, member.markVoidSource] {
            DispatchQueue(label: "twinfs.intent.void", qos: .userInitiated).async {
                if side() { told.run() }
            }
        }
        warnOfIntents("cannot be kept (\(error)): after a crash everything is compared")
    }
}
