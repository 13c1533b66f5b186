import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget
import Synchronization
import SystemPackage

/// What is copied when. Steps a to c of the copier (docs/invariants.md).
///
/// `@unchecked Sendable`: every `var` is touched on the job's queue only.
final class Copier: @unchecked Sendable {
    unowned let job: Job
    private var idleLanes: [Lane]
    /// Which wait for `speed` or `pace`, or until more has gathered, is the valid one.
    private var throttleNumber = 0
    var gathering = Gathering()
    /// The member whose extents are taken now.
    private var current = 0
    private(set) var passes = 0
    /// Something was taken since the pass began.
    private var hasTaken = false
    private var limit: RateLimit
    var pace: Pace
    var space: Space
    private(set) var progress = Progress()

    init(_ job: Job) {
        self.job = job
        let settings = job.settings
        limit = RateLimit(bytesPerSecond: settings.speed)
        pace = Pace(settings)
        space = Space(settings)
        let lanes = max(1, min(Self.mostLanes, settings.bufferSize / Lane.largestPiece))
        let name = NameText.shown(job.id)
        idleLanes = (0..<lanes).map {
            Lane(label: "twinfs.lane\($0).\(name)", bufferSize: settings.bufferSize)
        }
    }

    /// Operations in flight at most (QEMU's mirror: 16, of up to 1 MiB too).
    private static let mostLanes = 8

    /// `speed` was set.
    func setSpeed(_ bytesPerSecond: Int) {
        limit.set(bytesPerSecond)
        endThrottle()
    }

    /// `pace` was set.
    func setPace(_ wanted: JobParameters.Pace) {
        pace.set(wanted)
        endThrottle()
    }

    /// `min-speed` was set.
    func setMinSpeed(_ bytesPerSecond: Int) { pace.set(minSpeed: bytesPerSecond) }

    /// Begins the next batch with what had failed.
    func goOn(with member: Member, from granule: Int) {
        guard let index = job.members.firstIndex(where: { $0 === member }) else { return }
        current = index
        member.cursor = granule
    }

    /// Nothing is copied: the rates fall to zero.
    func rest() { progress.rest() }

    func sampleRates() {
        progress.sample(
            at: ContinuousClock.now - .origin, copied: job.counts.copied, remaining: job.remaining)
        job.forwarding.sample(progress.dirtyRate)
    }

    /// The job is over: nothing will be copied.
    func dropLanes() { idleLanes = [] }

    /// Waits for the next mark. Marks that came before the table heard of it are found by the
    /// second look.
    func sleep() {
        let isForQuiet = job.machine.isEnding || job.machine.phase == .bulk
        for member in job.members { member.table.fallAsleep(isForQuiet: isForQuiet) }
        // What is dirty under a forward wakes the copier when the forward ends.
        let hasWork = job.members.contains { $0.table.canTake || $0.table.isLengthDirty }
        if hasWork {
            // What is known to be dirty need not be told again by each mark, also while nothing may
            // be copied.
            for member in job.members { member.table.stayAwake() }
            if job.machine.mayCopy { return job.wake() }
        } else {
            gathering.isResting = true
        }
        for lane in idleLanes { lane.rest() }
        space.watch.rest()
    }

    func fillLanes() {
        while job.machine.mayCopy, !idleLanes.isEmpty, !awaitsSpace, !isThrottledNow() {
            // The first lane is free; each further one needs one of the mount's permits.
            let needsPermit = job.underWay.has(.copy)
            if needsPermit, !job.services.permits.take() { return }
            guard let batch = takeBatch() else {
                if needsPermit { job.services.permits.giveBack() }
                // For as long as changes gather.
                if gathering.until != nil { _ = isThrottledNow() }
                return
            }
            start(batch, on: idleLanes.removeLast(), hasPermit: needsPermit)
        }
    }
}

// Lanes.

extension Copier {
    /// Extents that one lane copies before it reports, so that scattered small ones cost one hop
    /// together.
    private static let batchExtents = 32
    private static let batchBytes = Lane.largestPiece

    private func isThrottledNow() -> Bool {
        // A hold ends the sooner the better: it is not throttled.
        if job.machine.isHolding { return false }
        let instant = ContinuousClock.now
        let now = instant - .origin
        let waits = [limit.wait(at: now), pace.limit.wait(at: now), gatheringTime(at: instant)]
        guard let wait = waits.compactMap({ $0 }).max() else {
            if job.underWay.has(.throttle) { endThrottle() }
            return false
        }
        if job.underWay.has(.throttle) { return true }
        job.underWay.enter(.throttle)
        let number = throttleNumber
        job.later(.microseconds(Int(wait / .microseconds(1)))) { [self] job in
            guard throttleNumber == number else { return }
            job.underWay.leave(.throttle)
            job.advance()
        }
        return true
    }

    /// A limit was changed: whoever waits for it looks again.
    func endThrottle() {
        if job.underWay.has(.throttle) { job.underWay.leave(.throttle) }
        throttleNumber += 1
    }

    private func start(_ batch: CopyBatch, on lane: Lane, hasPermit: Bool) {
        job.underWay.enter(.copy)
        let count = batch.ranges.reduce(0) { $0 + Int($1.count) }
        limit.spend(count)
        pace.limit.spend(count)
        pace.started += count
        let failures = job.twinFlush.failures
        lane.queue.async { [job = job] in
            let results = lane.copy(batch)
            if hasPermit { job.services.permits.giveBack() }
            job.queue.async {
                job.copier.finished(batch.member, results, on: lane, since: failures)
            }
        }
    }

    private func finished(
        _ member: Member, _ results: [CopyResult], on lane: Lane, since failures: Int
    ) {
        job.underWay.leave(.copy)
        idleLanes.append(lane)
        let isDoubtful = failures != job.twinFlush.failures
        for result in results { finished(member, result, isDoubtful: isDoubtful) }
        for block in member.twin.takeRaggedBlocks() { member.markUnasked(block) }
        job.twinFlush.beginIfDue()
        job.advance()
    }

    /// R4: a copy that failed, or that a failed flush may have lost, is marked before its claim
    /// ends.
    private func finished(_ member: Member, _ result: CopyResult, isDoubtful: Bool) {
        if !result.wroteNothing { job.standing.forget() }
        if let (side, error) = result.failure {
            member.table.giveBack(result.extent)
            return job.trouble.failed(member, result.extent, side, error)
        }
        if isDoubtful { return member.table.giveBack(result.extent) }
        let bytes = job.granularity.bytes(of: result.extent)
        member.unflushed.markUncounted(bytes)
        member.written?.markUncounted(bytes)
        member.table.release(result.extent)
        job.counts.copied += result.copied
        job.counts.zeroes += result.zeroes
        job.twinFlush.wrote(result.copied)
        job.trouble.copied(member, result.extent)
    }
}

// Which extents.

/// Extents of one member that one lane copies before it reports.
struct CopyBatch: Sendable {
    let member: Member
    var extents: [Range<Int>] = []
    /// Read the twin too, and write only what differs.
    let compares: Bool
    /// Of a copy from the beginning to the end: it leaves the page cache to the guest.
    let isBulk: Bool

    var ranges: [ByteRange] { extents.map(member.table.granularity.bytes(of:)) }
}

extension Copier {
    /// While a twin has never been in sync its beginning (partition table, image header) comes
    /// last: a granule, and the whole of a filesystem's block, of which a part alone never becomes
    /// a hole.
    private var firstGranule: Int {
        job.machine.wasReady || job.isDelta ? 0 : max(1, 4096 / job.granularity.bytes)
    }

    /// The next extents are looked for from the beginning.
    func restartPass() {
        current = 0
        for member in job.members { member.cursor = firstGranule }
    }

    /// Extents for one lane, claimed, in ascending offset; nil where nothing may be taken now.
    private func takeBatch() -> CopyBatch? {
        // Once around, and the part of the first one that lies before its cursor.
        for _ in 0...job.members.count {
            if let batch = takeBatch(of: job.members[current]) { return batch }
            nextMember()
            if gathering.until != nil { return nil }
        }
        guard firstGranule > 0, !job.underWay.has(.copy) else { return nil }
        for member in job.members {
            if let extent = member.table.takeExtent(from: 0, limit: firstGranule) {
                return batch(of: member, [extent])
            }
        }
        return nil
    }

    private func takeBatch(of member: Member) -> CopyBatch? {
        var batch = batch(of: member)
        var room = batchRoom
        while room > 0, batch.extents.count < Self.batchExtents,
            let extent = member.table.takeExtent(
                from: member.cursor, limit: room, givesPagesBack: job.machine.phase == .bulk)
        {
            member.cursor = extent.upperBound
            batch.extents.append(extent)
            room -= extent.count
        }
        if batch.extents.isEmpty { return nil }
        hasTaken = true
        return batch
    }

    private func batch(of member: Member, _ extents: [Range<Int>] = []) -> CopyBatch {
        CopyBatch(
            member: member, extents: extents, compares: compares(member),
            isBulk: job.machine.phase == .bulk)
    }

    private func nextMember() {
        job.members[current].cursor = firstGranule
        current += 1
        guard current == job.members.count else { return }
        current = 0
        if hasTaken { passEnded() }
        if hasTaken || passes == 0 { passes += 1 }
        hasTaken = false
    }

    private func compares(_ member: Member) -> Bool {
        passes == 0 && member.firstPass == .compare
    }

    /// Granules that fit a batch: a tenth of a second's worth where there is a limit; at least one.
    private var batchRoom: Int {
        var bytes = Self.batchBytes
        for rate in [limit.bytesPerSecond, pace.limit.bytesPerSecond] where rate > 0 {
            bytes = min(bytes, rate / 10)
        }
        return max(1, bytes / job.granularity.bytes)
    }
}

extension ContinuousClock.Instant {
    /// A fixed instant from which the job's clocks count.
    package static let origin = ContinuousClock.now
}
