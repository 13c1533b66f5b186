import Dispatch
import MirrorCore
import MirrorImage
import MirrorTarget
import Synchronization
import SystemPackage

// On the job's queue: what is copied when. Steps a to c of the copier (docs/invariants.md).

extension Job {
    /// The one place where the job decides what to do next. Idempotent: called after every wake, result
    /// and command.
    package func advance() {
        guard isRunning else { return concludeIfQuiet() }
        for member in members { member.table.stayAwake() }
        leaveRest()
        watchSpace()
        if machine.mayCopy, !isClerkBusy { fillLanes() }
        if isAtRest, machine.mayCopy, isLengthDirty { return copyLengths() }
        if isAtRest, machine.mayCopy { forgetTrouble() }
        perform(machine.handle(.observed(observe())))
        startGuestFlush()
        if isAtRest { sleep() }
        armPace()
        armTick()
        publishReport()
    }

    /// Nothing is being copied and nothing else is under way that will call `advance`.
    private var isAtRest: Bool {
        busyLanes == 0 && !isClerkBusy && (!isThrottled || machine.isHolding)
            && !(space.isLooking && awaitsSpace)
    }

    private func observe() -> JobMachine.Observation {
        // Before the look: whatever exists now has marked every change after the instant of agreement.
        if machine.isEnding, !machine.isSettling {
            cutCheckpoints = members.map { services.checkpoints($0.image) }
        }
        // R5. A size that was taken is with the clerk.
        let agrees =
            busyLanes == 0 && !isClerkBusy && DirtyTable.areInSync(members.map(\.table))
            // What a verification has found has to be copied first.
            && !(machine.isEnding && isVerifying)
            // A write that is forwarded right after that instant would be in the twin of a cut, without
            // those before it that were not.
            && (machine.isHolding || !machine.isEnding || !isForwarding)
        let estimate = progress.microsecondsToCopy(remaining)
        // A flush that is under way would be waited for with the guest's writes held.
        let isFree = ContinuousClock.now >= nextHold && !(machine.isEnding && isFlushing)
        return .init(
            agrees: agrees && (machine.isHolding || isFree || !machine.needsAttempt),
            passDone: passes > 0,
            affordable: estimate <= maxPause * 1000 / 2 && isFree && !isVerifying)
    }

    /// Waits for the next mark. Marks that came before the table heard of it are found by the second look.
    private func sleep() {
        let isForQuiet = machine.isEnding || machine.phase == .bulk
        for member in members { member.table.fallAsleep(isForQuiet: isForQuiet) }
        // What is dirty under a forward wakes the copier when the forward ends.
        let hasWork = members.contains { $0.table.canTake || $0.table.isLengthDirty }
        if hasWork {
            // What is known to be dirty need not be told again by each mark, also while nothing may be copied.
            for member in members { member.table.stayAwake() }
            if machine.mayCopy { return wake() }
        } else {
            gathering.isResting = true
        }
        for lane in idleLanes { lane.rest() }
        space.watch.rest()
    }

    private func fillLanes() {
        while machine.mayCopy, !idleLanes.isEmpty, !awaitsSpace, !isThrottledNow() {
            // The first lane is free; each further one needs one of the mount's permits.
            let needsPermit = busyLanes > 0
            if needsPermit, !services.permits.take() { return }
            guard let batch = takeBatch() else {
                if needsPermit { services.permits.giveBack() }
                // For as long as changes gather.
                if gathering.until != nil { _ = isThrottledNow() }
                return
            }
            start(batch, on: idleLanes.removeLast(), hasPermit: needsPermit)
        }
    }
}

// Lanes.

extension Job {
    /// Extents that one lane copies before it reports, so that scattered small ones cost one hop together.
    private static let batchExtents = 32
    private static let batchBytes = Lane.largestPiece

    private func isThrottledNow() -> Bool {
        // A hold ends the sooner the better: it is not throttled.
        if machine.isHolding { return false }
        let instant = ContinuousClock.now
        let now = instant - .origin
        let waits = [limit.wait(at: now), pace.limit.wait(at: now), gatheringTime(at: instant)]
        guard let wait = waits.compactMap({ $0 }).max() else {
            if isThrottled { endThrottle() }
            return false
        }
        if isThrottled { return true }
        isThrottled = true
        let number = throttleNumber
        queue.asyncAfter(deadline: .now() + .microseconds(Int(wait / .microseconds(1)))) {
            [weak self] in
            guard let self, throttleNumber == number else { return }
            isThrottled = false
            advance()
        }
        return true
    }

    /// A limit was changed: whoever waits for it looks again.
    func endThrottle() {
        isThrottled = false
        throttleNumber += 1
    }

    private func start(_ batch: CopyBatch, on lane: Lane, hasPermit: Bool) {
        busyLanes += 1
        let count = batch.ranges.reduce(0) { $0 + Int($1.count) }
        limit.spend(count)
        pace.limit.spend(count)
        pace.started += count
        let failures = flushFailures.load(ordering: .sequentiallyConsistent)
        lane.queue.async { [self] in
            let results = lane.copy(batch)
            if hasPermit { services.permits.giveBack() }
            queue.async { [self] in finished(batch.member, results, on: lane, since: failures) }
        }
    }

    private func finished(
        _ member: Member, _ results: [CopyResult], on lane: Lane, since failures: Int
    ) {
        busyLanes -= 1
        idleLanes.append(lane)
        let isDoubtful = failures != flushFailures.load(ordering: .sequentiallyConsistent)
        for result in results { finished(member, result, isDoubtful: isDoubtful) }
        for block in member.twin.takeRaggedBlocks() { member.markUnasked(block) }
        if bytesSinceFlush >= Self.flushInterval, !isFlushing { flush(settles: false) }
        advance()
    }

    /// R4: a copy that failed, or that a failed flush may have lost, is marked before its claim ends.
    private func finished(_ member: Member, _ result: CopyResult, isDoubtful: Bool) {
        if let (side, error) = result.failure {
            member.table.giveBack(result.extent)
            return failed(member, result.extent, side, error)
        }
        if isDoubtful { return member.table.giveBack(result.extent) }
        let bytes = granularity.bytes(of: result.extent)
        member.unflushed.markUncounted(bytes)
        member.written?.markUncounted(bytes)
        member.table.release(result.extent)
        counts.copied += result.copied
        counts.zeroes += result.zeroes
        bytesSinceFlush += result.copied
        copied(member, result.extent)
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

extension Job {
    /// While a twin has never been in sync its beginning (partition table, image header) comes last: a granule, and
    /// the whole of a filesystem's block, of which a part alone never becomes a hole.
    private var firstGranule: Int {
        machine.wasReady || isDelta ? 0 : max(1, 4096 / granularity.bytes)
    }

    /// The next extents are looked for from the beginning.
    func restartPass() {
        current = 0
        for member in members { member.cursor = firstGranule }
    }

    /// Extents for one lane, claimed, in ascending offset; nil where nothing may be taken now.
    private func takeBatch() -> CopyBatch? {
        // Once around, and the part of the first one that lies before its cursor.
        for _ in 0...members.count {
            if let batch = takeBatch(of: members[current]) { return batch }
            nextMember()
            if gathering.until != nil { return nil }
        }
        guard firstGranule > 0, busyLanes == 0 else { return nil }
        for member in members {
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
                from: member.cursor, limit: room, givesPagesBack: machine.phase == .bulk)
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
            isBulk: machine.phase == .bulk)
    }

    private func nextMember() {
        members[current].cursor = firstGranule
        current += 1
        guard current == members.count else { return }
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
        return max(1, bytes / granularity.bytes)
    }
}

// Sizes.

extension Job {
    var isLengthDirty: Bool { members.contains { $0.table.isLengthDirty } }

    /// Gives the twins the sizes of their images. Nothing is being copied, and nothing is taken until it
    /// is done.
    private func copyLengths() {
        isClerkBusy = true
        let changed = members.filter { $0.table.isLengthDirty }
        for member in changed { member.beginResize() }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        clerk.async { [self] in
            let failures = changed.map { member -> Member.Failure? in
                do throws(Member.Failure) { try member.giveTwinItsSize() } catch { return error }
                return nil
            }
            queue.async { [self] in
                isClerkBusy = false
                for (member, failure) in zip(changed, failures) {
                    if failure != nil { _ = member.table.markLength() }
                    member.endResize()
                    guard let failure else { continue }
                    fail(failure.side, failure.error, member, in: .size)
                }
                if failures.allSatisfy({ $0 == nil }) { succeeded(.size) }
                advance()
            }
        }
    }
}

extension ContinuousClock.Instant {
    /// A fixed instant from which the job's clocks count.
    package static let origin = ContinuousClock.now
}
