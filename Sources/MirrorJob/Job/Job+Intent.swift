import Dispatch
import MirrorCore
import MirrorSystem
import Synchronization
import SystemPackage

// On the job's queue: the write-intent logs of its members, which are cleared behind the copier (R11).
//
// A pass needs a flush of the twins that begins after it has chosen its candidates. In bulk the flushes on
// the way are used; else one is made every few seconds, as long as there is something to clear. When it went
// well the sources are made durable, on a queue of their own, and the bits are cleared.

/// What the job does for its logs.
struct IntentCare {
    /// Between two looks at what was written. The files are looked at five times as often.
    static let period = Duration.seconds(5)
    /// Looks at the files after the last change.
    static let calmLooks = 3

    /// Where sources are made durable.
    let queue: DispatchQueue
    /// The table has all marks of the first pass, or of what was found: what is clean in it is equal.
    var isOn = false
    var isHeldBack = false
    var isTicking = false
    var lastAge = ContinuousClock.now
    /// Ticks in a row that found nothing changed.
    var calm = 0
    /// What the files were like at the last tick.
    var stamps: [FileStamp] = []
    /// What a tick has chosen, for the flush that it asks for.
    var chosen: [IntentChoice]?
}

/// What of one member may be cleared once both of its sides are durable.
struct IntentChoice: Sendable {
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

extension Job {
    /// Makes a log for each member, durable when this returns. Blocks; before the job begins. Without one
    /// the job goes on, and the status says what that means.
    func makeIntents() {
        guard let directory = intentDirectory else { return }
        for (index, member) in members.enumerated() { makeIntents(member, index, directory) }
    }

    /// The logs of the job's earlier life; before anybody can write. Where there is none to believe a new one
    /// is made that intends everything.
    func inheritIntents() {
        guard let directory = intentDirectory else { return }
        for (index, member) in members.enumerated() {
            if member.openIntents("\(uuid)-\(index)", in: directory) {
                beginKeeping(member)
            } else {
                makeIntents(member, index, directory)
            }
        }
    }

    private var intentDirectory: StateDirectory? {
        parameters.intent ? services.records.directory : nil
    }

    private func makeIntents(_ member: Member, _ index: Int, _ directory: StateDirectory) {
        do throws(Errno) {
            let isFull = !isDelta || past != nil
            try member.makeIntents("\(uuid)-\(index)", in: directory, isFull: isFull)
            beginKeeping(member)
        } catch {
            warnOfIntents("cannot be made (\(error)): after a crash everything is compared")
        }
    }

    /// A member's log is in use from here on.
    private func beginKeeping(_ member: Member) {
        guard let log = member.intents else { return }
        log.voided.withLock { voided in
            voided = { [weak self, weak member] error, done in
                guard let self, let member else { return done() }
                intentsAreVoid(member, error, done)
            }
        }
        guard services.ignoresIntents else { return }
        log.bits.admitsAll.store(true, ordering: .sequentiallyConsistent)
        warnOfIntents("is NOT KEPT on purpose: a power cut makes source and twin differ unseen")
    }

    private func warnOfIntents(_ what: String) {
        intentWarning.withLock { $0 = "\(NameText.shown(id)): its write-intent log \(what)" }
    }

    /// Marks what may differ after the host has died; false where the log is not to be believed.
    func markIntended(
        _ member: Member, _ past: Resumption.Member, _ twin: ReturnedTwin
    ) -> Bool {
        if isDelta { return false }
        let verdict = Trust.verdict(
            member.foundIntents, source: past.source, twin: twin.status,
            isVoid: member.isVoidSomewhere(twin.parts.file))
        guard case .intent(let ranges) = verdict else { return false }
        let end = max(member.knownLength, past.source.size)
        for range in ranges { member.table.markUncounted(range.clamped(below: end)) }
        return true
    }

    /// The logs of a job that comes back are in use; those of `unproven` intend everything first, which is
    /// marked already. Until that is durable nothing is noted that could make them be believed.
    func watchIntents(refilling unproven: [Member]) {
        intentCare.isHeldBack = true
        let group = DispatchGroup()
        for member in unproven {
            guard let log = member.intents else { continue }
            group.enter()
            log.request(ByteRange(0, max(1, member.knownLength))) { group.leave() }
        }
        group.notify(queue: queue) { [self] in
            askClerk {
                for member in unproven { member.forgetVoid() }
            } then: { [self] in
                intentCare.isHeldBack = false
                watchIntents()
            }
        }
    }

    /// From the start of the job until its logs are closed: looks once a second while anything is written.
    func watchIntents() {
        if intentCare.isHeldBack { return }
        intentCare.isOn = true
        for member in members {
            member.intents?.grown.withLock { $0 = { [weak self] in self?.intentsHaveGrown() } }
        }
        armIntentTick()
    }

    private func intentsHaveGrown() {
        queue.async { [self] in
            intentCare.calm = 0
            armIntentTick()
        }
    }

    private func armIntentTick() {
        guard !intentCare.isTicking, !machine.isOver, members.contains(where: { $0.intents != nil })
        else { return }
        intentCare.isTicking = true
        let milliseconds = Int(services.intentPeriod / .milliseconds(5))
        queue.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [weak self] in
            self?.intentTick()
        }
    }

    /// The files are looked at on the clerk: a target may hang.
    private func intentTick() {
        intentCare.isTicking = false
        guard !machine.isOver else { return }
        let ages = ContinuousClock.now - intentCare.lastAge >= services.intentPeriod
        if ages { intentCare.lastAge = .now }
        let clears = ages && mayClear
        // The clerk may be busy for long.
        for member in members { member.intents?.beat() }
        askClerk { [members] in
            let stamps = members.flatMap { $0.beat() }
            if ages { for member in members { member.intents?.age() } }
            return (stamps, clears ? members.compactMap { IntentChoice($0) } : [])
        } then: { [self] stamps, chosen in
            intentsSeen(stamps, chosen)
        }
    }

    private func intentsSeen(_ stamps: [FileStamp], _ chosen: [IntentChoice]) {
        intentCare.calm = stamps == intentCare.stamps ? intentCare.calm + 1 : 0
        intentCare.stamps = stamps
        if !chosen.isEmpty, mayClear {
            intentCare.chosen = chosen
            flush(settles: false)
        }
        let isLeft = members.contains { ($0.intents?.setCount.load(ordering: .relaxed) ?? 0) > 0 }
        if isLeft || intentCare.calm < IntentCare.calmLooks { armIntentTick() }
    }

    /// Whether a flush for the sake of the logs hurts nobody.
    private var mayClear: Bool {
        isRunning && intentCare.isOn && underWay.mayBegin(.clearIntents)
            && !hasFindings.load(ordering: .acquiring) && !machine.isEnding && !machine.isPaused
            && !machine.isBackingOff
    }

    /// What the flush that begins may let be cleared; asked on the clerk before it. Nil where nothing may.
    func intentsToClear(settles: Bool) -> (@Sendable () -> [IntentChoice])? {
        let chosen = intentCare.chosen
        intentCare.chosen = nil
        if settles || !intentCare.isOn || underWay.has(.clearIntents)
            || hasFindings.load(ordering: .acquiring)
            || members.allSatisfy({ $0.intents == nil })
        {
            return nil
        }
        if let chosen { return { chosen } }
        return { [members] in members.compactMap { IntentChoice($0) } }
    }

    /// The twins are durable.
    func clear(_ chosen: [IntentChoice]) {
        if chosen.isEmpty { return }
        underWay.enter(.clearIntents)
        intentCare.queue.async { [self] in
            let group = DispatchGroup()
            for choice in chosen {
                group.enter()
                choice.settle { group.leave() }
            }
            group.notify(queue: queue) { [self] in
                underWay.leave(.clearIntents)
                advance()
            }
        }
    }

    /// A log could not be kept: its source and its twin say so before a write goes on that it does not know of.
    /// On a thread of its own each, as either may hang; the log does not wait for ever.
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
