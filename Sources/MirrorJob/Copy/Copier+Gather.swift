import Dispatch
import MirrorCore

// On the job's queue: with `pace=guest` a ready job lets changes gather before it copies them. A
// granule that a guest writes again and again is then copied once for many writes, and the guest's
// processors are not spent on waking the copier for each.
//
//     asleep ──mark──▶ gathering ──time──▶ copying ──all gone through──▶ asleep, or gathering again
//
// It does so only while nobody waits for the twin, and as long as a cut could copy what has
// gathered. R1 to R5 do not know of it: a mark stays where it is until it is taken.

/// When the next pass may begin.
struct Gathering {
    /// Times are chosen; docs/performance-log.md has what they bring.
    static let shortest = Duration.milliseconds(10)
    static let longest = Duration.milliseconds(250)
    /// Gathering takes so many times as long as the last pass took. With a guest that never stops,
    /// the copier runs a fifth of the time.
    static let share = 4

    /// The copier sleeps: the next change begins something new.
    var isResting = false
    /// Nothing is taken before.
    fileprivate(set) var until: ContinuousClock.Instant?
    fileprivate var began = ContinuousClock.now
    /// How long the last pass took.
    var lastPass = Duration.zero

    fileprivate var wanted: Duration {
        min(max(lastPass * Self.share, Self.shortest), Self.longest)
    }
}

extension Copier {
    /// Nobody waits for the twin, and what has gathered is not too much for a cut.
    private var mayGather: Bool {
        pace.pacer != nil && job.machine.phase == .ready && !job.machine.isHolding
            && !job.forwarding.isOn
            && !job.underWay.has(.verify) && !job.twinFlush.guestsWait
            && progress.microsecondsToCopy(job.remaining) <= job.settings.maxPause * 1000 * 3 / 8
    }

    private var hasWork: Bool { job.members.contains { $0.table.canTake } }

    /// The copier was woken, or has gone through everything.
    private func gather() {
        guard mayGather, hasWork else { return }
        gathering.until = .now + gathering.wanted
    }

    /// Before anything is taken.
    func leaveRest() {
        guard gathering.isResting else { return }
        gathering.isResting = false
        gathering.began = .now
        gather()
    }

    /// The copier has gone through all members.
    func passEnded() {
        let now = ContinuousClock.now
        gathering.lastPass = now - gathering.began
        gathering.began = now
        gather()
    }

    /// Time until extents may be taken again; nil if now.
    func gatheringTime(at now: ContinuousClock.Instant) -> Duration? {
        guard let until = gathering.until else { return nil }
        if until > now, mayGather { return until - now }
        gathering.until = nil
        gathering.began = now
        return nil
    }
}
