import Dispatch
import MirrorCore
import SystemPackage

// On the job's queue: what is copied when. Steps a to c of the copier (docs/invariants.md).

extension Job {
    /// The one place where the job decides what to do next. Idempotent: called after every wake, result
    /// and command.
    func advance() {
        guard isRunning else { return concludeIfQuiet() }
        table.stayAwake()
        if machine.mayCopy, !isClerkBusy { fillLanes() }
        if isAtRest, machine.mayCopy, table.isLengthDirty { return copyLength() }
        perform(machine.handle(.observed(observe())))
        if isAtRest { sleep() }
        armTick()
        publishReport()
    }

    /// Nothing is being copied and nothing else is under way that will call `advance`.
    private var isAtRest: Bool {
        busyLanes == 0 && !isClerkBusy && (!isThrottled || machine.isHolding)
    }

    private func observe() -> JobMachine.Observation {
        // R5. A size that was taken is with the clerk.
        let agrees = busyLanes == 0 && !isClerkBusy && table.isInSync
        let estimate = progress.microsecondsToCopy(remaining)
        return .init(
            agrees: agrees, passDone: passes > 0,
            affordable: estimate <= maxPause * 1000 / 2 && ContinuousClock.now >= nextHold)
    }

    /// Waits for the next mark. Marks that came before the table heard of it are found by the second look.
    private func sleep() {
        table.fallAsleep()
        guard !table.isClean, machine.mayCopy else {
            for lane in idleLanes { lane.rest() }
            return
        }
        table.stayAwake()
        wake()
    }

    private func fillLanes() {
        while machine.mayCopy, !idleLanes.isEmpty, !isThrottledNow() {
            // The first lane is free; each further one needs one of the mount's permits.
            let needsPermit = busyLanes > 0
            if needsPermit, !services.permits.take() { return }
            let batch = takeBatch()
            if batch.isEmpty {
                if needsPermit { services.permits.giveBack() }
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
        guard let wait = limit.wait(at: ContinuousClock.now - .origin) else { return false }
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

    private func start(_ batch: [Range<Int>], on lane: Lane, hasPermit: Bool) {
        busyLanes += 1
        let ranges = batch.map(table.granularity.bytes(of:))
        limit.spend(ranges.reduce(0) { $0 + Int($1.count) })
        let failures = flushFailures
        lane.queue.async { [self] in
            let results = lane.copy(ranges, batch, from: source, to: twin)
            if hasPermit { services.permits.giveBack() }
            queue.async { [self] in finished(results, on: lane, since: failures) }
        }
    }

    private func finished(_ results: [CopyResult], on lane: Lane, since failures: Int) {
        busyLanes -= 1
        idleLanes.append(lane)
        for result in results { finished(result, isDoubtful: failures != flushFailures) }
        for block in twin.takeRaggedBlocks() { table.markUncounted(block) }
        if bytesSinceFlush >= Self.flushInterval, !isFlushing { flush(settles: false) }
        advance()
    }

    /// R4: a copy that failed, or that a failed flush may have lost, is marked before its claim ends.
    private func finished(_ result: CopyResult, isDoubtful: Bool) {
        if let (side, error) = result.failure {
            table.giveBack(result.extent)
            fail(side, error)
            return
        }
        if isDoubtful { return table.giveBack(result.extent) }
        unflushed.markUncounted(table.granularity.bytes(of: result.extent))
        written?.markUncounted(table.granularity.bytes(of: result.extent))
        table.release(result.extent)
        counts.copied += result.copied
        counts.zeroes += result.zeroes
        bytesSinceFlush += result.copied
    }
}

// Which extents.

extension Job {
    /// While the twin has never been in sync its first granule (partition table, image header) comes last.
    var firstGranule: Int { machine.wasReady || isDelta ? 0 : 1 }

    /// Extents for one lane, claimed, in ascending offset; empty where nothing may be taken now.
    private func takeBatch() -> [Range<Int>] {
        var batch: [Range<Int>] = []
        var room = batchRoom
        while room > 0, batch.count < Self.batchExtents,
            let extent = takeExtent(room, batch.isEmpty)
        {
            batch.append(extent)
            room -= extent.count
        }
        return batch
    }

    /// Granules that fit a batch: a tenth of a second's worth where there is a limit; at least one.
    private var batchRoom: Int {
        let bytes =
            limit.bytesPerSecond > 0
            ? min(Self.batchBytes, limit.bytesPerSecond / 10) : Self.batchBytes
        return max(1, bytes / table.granularity.bytes)
    }

    private func takeExtent(_ room: Int, _ isFirst: Bool) -> Range<Int>? {
        if let extent = takeAfterCursor(room) { return extent }
        // The end of a pass.
        if cursor > firstGranule || passes == 0 { passes += 1 }
        cursor = firstGranule
        if let extent = takeAfterCursor(room) { return extent }
        guard firstGranule > 0, isFirst, busyLanes == 0 else { return nil }
        return table.takeExtent(from: 0, limit: 1)
    }

    private func takeAfterCursor(_ room: Int) -> Range<Int>? {
        let extent = table.takeExtent(
            from: cursor, limit: room, givesPagesBack: machine.phase == .bulk)
        if let extent { cursor = extent.upperBound }
        return extent
    }
}

extension ContinuousClock.Instant {
    /// A fixed instant from which the job's clocks count.
    static let origin = ContinuousClock.now
}
