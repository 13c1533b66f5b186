import Dispatch
import MirrorCore
import MirrorImage
import Synchronization
import SystemPackage

// On the job's queue: `fsync=both`. A guest's flush is answered when source and twins are durable.
//
// All that wait share one flush of the twins, and those that come while it is under way share the
// next: it may have begun before their writes. A guest waits for no twin that fails or hangs: the
// source is durable, and the job says what its twin is worth.

/// A guest's flush that waits for a twin.
final class GuestFlush: Sendable {
    let began = ContinuousClock.now
    /// The copier's passes that were done when it came.
    let passes: Int
    /// Nil once it is answered.
    private let done: Mutex<(@Sendable () -> Void)?>

    init(passes: Int, _ done: @escaping @Sendable () -> Void) {
        self.passes = passes
        self.done = Mutex(done)
    }

    /// False where it was answered before.
    @discardableResult
    func answer() -> Bool {
        guard let done = done.withLock({ $0.take() }) else { return false }
        done()
        return true
    }
}

/// The guests' flushes that a job has not answered.
struct GuestFlushes {
    /// For the next flush of the twins.
    var waiting: [GuestFlush] = []
    /// Covered by the one that is under way.
    var underWay: [GuestFlush] = []
    var isWatching = false

    /// A flush of the twins begins, which covers these.
    mutating func begin(_ isCovered: (GuestFlush) -> Bool) {
        underWay += waiting.filter(isCovered)
        waiting.removeAll(where: isCovered)
    }

    mutating func end() {
        for flush in underWay { flush.answer() }
        underWay = []
    }
}

extension TwinFlush {
    /// Without `write-timeout` a guest's flush waits at most so long for a twin.
    private static let longestFlush = 10_000

    /// From `attach`, for each image.
    func answerFlushes(of image: Image) {
        guard job.settings.fsync == .both else { return }
        image.twinFlushes.add(job) { [weak job = job] done in
            guard let job else { return done() }
            job.queue.async {
                job.twinFlush.flushForGuest(GuestFlush(passes: job.copier.passes, done))
            }
        }
    }

    private func flushForGuest(_ flush: GuestFlush) {
        guard keepsTwinsDurable else {
            _ = flush.answer()
            return
        }
        guestFlushes.waiting.append(flush)
        watchGuests()
        job.advance()
    }

    /// Whether the twins have all that was written before the flush came: nothing is left for the
    /// copier, or it has gone through everything since. Forwards under way belong to writes that
    /// are not answered.
    private func isCovered(_ flush: GuestFlush) -> Bool {
        if job.copier.passes >= flush.passes + 2 { return true }
        let isLeft = job.members.contains { member in
            member.table.dirtyBytes > 0 || member.table.claimedBytes > 0
                || member.table.isLengthDirty
        }
        return !isLeft && job.underWay.isStill
    }

    /// Whether guests wait for a flush that has not begun.
    var guestsWait: Bool { !guestFlushes.waiting.isEmpty }

    /// A flush of the twins begins.
    func beginGuestFlushes() { guestFlushes.begin(isCovered) }

    /// Whether the twins are worth waiting for: they were in sync, and all that guests write goes
    /// to them.
    private var keepsTwinsDurable: Bool {
        job.settings.fsync == .both && job.settings.copyMode == .writeBlocking
            && !job.forwarding.isFallenBack
            && job.machine.wasReady && !job.machine.isOver && !job.machine.isPaused
            && !job.machine.isBackingOff
            && !job.machine.isResuming
    }

    /// After whatever else wanted to flush has had its turn.
    func startForGuests() {
        guard job.underWay.mayBegin(.flush), guestFlushes.waiting.contains(where: isCovered) else {
            return
        }
        begin(settles: false)
    }

    /// The guests go on: their twins are not kept durable any more.
    func letGuestsGo() {
        if keepsTwinsDurable { return }
        guestFlushes.begin { _ in true }
        guestFlushes.end()
    }

    /// Looks for flushes that take too long.
    private func watchGuests() {
        guard !guestFlushes.isWatching else { return }
        guestFlushes.isWatching = true
        let limit = job.settings.writeTimeout > 0 ? job.settings.writeTimeout : Self.longestFlush
        job.later(.milliseconds(max(1, limit / 4))) { [self] _ in
            guestFlushes.isWatching = false
            let oldest = ContinuousClock.now - .milliseconds(limit)
            // The copier is behind: the source is durable, and the target has done nothing wrong.
            for flush in guestFlushes.waiting where flush.began < oldest { flush.answer() }
            guestFlushes.waiting.removeAll { $0.began < oldest }
            let slow = guestFlushes.underWay.filter { $0.began < oldest && $0.answer() }
            if !slow.isEmpty { flushTookTooLong() }
            let isLeft = !guestFlushes.underWay.isEmpty || !guestFlushes.waiting.isEmpty
            if isLeft { watchGuests() }
        }
    }

    /// As a forward that takes too long where the user has set how long that is, else as an error.
    private func flushTookTooLong() {
        if job.settings.writeTimeout > 0 {
            job.forwarding.fallBack("a flush of the twin")
        } else {
            job.trouble.fail(.target, .timedOut, job.members[0], in: .flush)
        }
        job.advance()
    }
}
