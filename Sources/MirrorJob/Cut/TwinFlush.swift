import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

/// Makes the twins durable: beside the copy, for the machine, and for guests' flushes with
/// `fsync=both`.
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class TwinFlush: @unchecked Sendable {
    /// Bytes after which the target is flushed on the way, off the copy path.
    private static let interval = 256 << 20

    unowned let job: Job
    /// Of guests, with `fsync=both`.
    var guestFlushes = GuestFlushes()
    private var bytesSinceFlush = 0
    /// The flush that is under way began before source and twin agreed: another has to follow.
    private var mustFlushAgain = false
    private let flushFailures = Atomic<Int>(0)

    init(_ job: Job) { self.job = job }

    /// Failed flushes. What was written while one failed may be lost: it does not count as copied.
    /// Any thread.
    var failures: Int { flushFailures.load(ordering: .sequentiallyConsistent) }

    /// A lane has written so much.
    func wrote(_ bytes: Int) { bytesSinceFlush += bytes }

    /// On the way, where enough was written since the last flush.
    func beginIfDue() {
        if bytesSinceFlush >= Self.interval, job.underWay.mayBegin(.flush) { begin(settles: false) }
    }

    /// Makes the target durable beside the copy. `settles`: the machine waits for it, and nothing
    /// is copied.
    func begin(settles: Bool) {
        guard job.underWay.mayBegin(.flush) else {
            mustFlushAgain = mustFlushAgain || settles
            return
        }
        beginGuestFlushes()
        for member in job.members { member.beginFlush() }
        bytesSinceFlush = 0
        // A switch-over leaves no twin behind that could be worth something.
        let isEnd = settles && job.machine.phase == .completing && job.machine.ending == .soft
        if isEnd, job.counts.lastPause == nil { job.counts.lastPause = 0 }
        if isEnd { job.counts.cutTime = WallClock.now.seconds }
        let cut =
            isEnd
            ? Cut(time: job.counts.cutTime ?? 0, checkpoints: job.cutAttempt.checkpoints) : nil
        let choose = job.intentCare.choose(settles: settles)
        job.onClerk(.flush) { [self] in
            let chosen = choose?() ?? []
            return (chosen, flushTwins(cut))
        } then: { [self] chosen, failure in
            flushed(settles, isEnd: isEnd, failure)
            if failure == nil { job.intentCare.clear(chosen) }
        }
    }

    /// What the twins say of the cut that they are.
    private struct Cut {
        let time: Int
        /// For each member.
        let checkpoints: [[String]]
    }

    private func flushTwins(_ cut: Cut?) -> (Member, Errno)? {
        for (index, member) in job.members.enumerated() {
            do throws(Errno) { try begin(member, cut, cut?.checkpoints[index] ?? []) } catch {
                // It will be written again.
                if cut != nil { for member in job.members { member.twin.annotate(.inconsistent) } }
                return (member, error)
            }
        }
        return nil
    }

    private func begin(
        _ member: Member, _ cut: Cut?, _ checkpoints: [String]
    ) throws(Errno) {
        let twin = member.twin
        try twin.flush()
        // The extent list of a delta is made durable after the bytes that it lists.
        if let written = member.written {
            try twin.saveExtents(JSON.bytes(ExtentList(written)) + [UInt8(ascii: "\n")])
        }
        guard let cut else { return }
        // What the twin is worth is said only once its bytes are durable, and made durable itself.
        twin.annotate(
            job.isDelta ? .partial : .consistent,
            [
                ("cut", "\(cut.time)"), ("generation", "1"),
                ("checkpoints", checkpoints.joined(separator: " ")),
            ])
        try twin.flush()
    }

    /// After a failed flush everything written since the last good one is dirty again, also what
    /// was written beside the flush: the kernel reports a lost page once, to whoever flushes next.
    /// Whoever wrote and has not noted it in `unflushed` by now sees the count of failures moved.
    private func flushed(
        _ settles: Bool, isEnd: Bool, _ failure: (member: Member, error: Errno)?
    ) {
        defer { startForGuests() }
        if failure == nil {
            for member in job.members { member.flushed() }
            job.standing.flushed()
            guestFlushes.end()
            job.trouble.succeeded(.flush)
        }
        if let failure {
            flushFailures.add(1, ordering: .sequentiallyConsistent)
            for member in job.members { member.flushFailed() }
            job.standing.forget()
            job.keep()
            mustFlushAgain = false
            job.counts.cutTime = nil
            job.trouble.fail(.target, failure.error, failure.member, in: .flush)
            // The source is durable: that is all that a guest hears of.
            guestFlushes.end()
        } else {
            if mustFlushAgain {
                mustFlushAgain = false
                return begin(settles: true)
            }
            if settles { job.perform(job.machine.handle(.flushed)) }
        }
        if isEnd, failure == nil, !job.machine.isOver, !job.machine.isSettling {
            takeBackAnnotations()
        }
        job.advance()
    }

    /// The cut was not to be after all, and the twins are about to be written again.
    private func takeBackAnnotations() {
        job.onClerk(.worth) { [members = job.members] in
            for member in members {
                member.twin.annotate(.inconsistent)
                try? member.twin.flush()
            }
        } then: {
        }
    }
}
