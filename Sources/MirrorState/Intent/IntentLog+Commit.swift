import Dispatch
package import MirrorCore
import MirrorImage
import Synchronization
package import SystemPackage

// Group commit: all requests that come while a commit is under way become durable with the next
// one.
//
// Waiters are let go in one place, `release`, by whoever takes them out of `waiting`: the commit
// that covers them, or the end of a log that has become void.

extension IntentLog {
    package struct Waiting {
        /// For the next commit.
        package var ranges: [ByteRange] = []
        package var next: [@Sendable () -> Void] = []
        /// Covered by the one that is under way.
        package var underWay: [@Sendable () -> Void] = []
        /// Since when the oldest of them waits.
        package var since: ContinuousClock.Instant?
        var isScheduled = false
        var isWatched = false
        package var isClosed = false
    }

    /// Makes the bits of `range` durable, then calls `done`, on any thread. Never blocks.
    package func request(_ range: ByteRange, then done: @escaping @Sendable () -> Void) {
        if bits.admitsAll.load(ordering: .acquiring) { return done() }
        let (isFirst, isNew, isLetGo) = waiting.withLock { state in
            // `letAllGo` says so before it takes the waiters out: whoever comes later is not taken
            // out.
            if state.isClosed || bits.admitsAll.load(ordering: .acquiring) {
                return (false, false, true)
            }
            defer { (state.isScheduled, state.isWatched) = (true, true) }
            state.ranges.append(range)
            state.next.append(done)
            state.since = state.since ?? .now
            // A void log is about to let everybody go.
            return (!state.isScheduled && !isVoid, !state.isWatched, false)
        }
        if isLetGo { return done() }
        if isFirst { queue.async { self.commitAll() } }
        if isNew { watch() }
    }

    private func commitAll() {
        while let ranges = takeRequests() {
            do throws(Errno) {
                let isNews = try commit(ranges)
                release()
                if isNews { grown.withLock { $0 }?() }
            } catch {
                becomeVoid(error)
                return
            }
        }
    }

    private func takeRequests() -> [ByteRange]? {
        waiting.withLock { state in
            if isVoid || state.next.isEmpty {
                state.isScheduled = false
                return nil
            }
            defer { (state.ranges, state.next) = ([], []) }
            state.underWay = state.next
            return state.ranges
        }
    }

    /// Writes the blocks whose bits change and makes them durable. On `queue`.
    ///
    /// - Returns: whether any bit was clear.
    private func commit(_ ranges: [ByteRange]) throws(Errno) -> Bool {
        var added: [Int: UInt64] = [:]
        for range in ranges {
            for (word, mask) in Self.words(of: range) {
                let missing = mask & ~bits.load(.durable, word)
                // Whoever asked is about to write there.
                bits.set(.touched, mask, word)
                if missing != 0 { added[word, default: 0] |= missing }
            }
        }
        if added.isEmpty { return false }
        let touched = Set(added.keys.map { $0 / IntentFormat.wordsPerBlock })
        let isLonger = touched.max()! >= blockCount.load(ordering: .relaxed)
        let new = isLonger ? blockCount.load(ordering: .relaxed)...touched.max()! : nil
        for number in touched.union(new.map { Set($0) } ?? []).sorted() {
            try write(number, adding: added)
        }
        try writeBeat()
        try store.synchronize()
        commits.add(1, ordering: .relaxed)
        if let new { blockCount.store(new.upperBound + 1, ordering: .relaxed) }
        for (word, mask) in added {
            let news = bits.set(.durable, mask, word)
            setCount.add(news.nonzeroBitCount, ordering: .relaxed)
        }
        return true
    }

    /// Writes a block as the bits in memory are, and those beside them; not yet durable. On
    /// `queue`.
    package func write(_ number: Int, adding added: [Int: UInt64] = [:]) throws(Errno) {
        let first = number * IntentFormat.wordsPerBlock
        let words = (first..<first + IntentFormat.wordsPerBlock).map {
            bits.load(.durable, $0) | (added[$0] ?? 0)
        }
        try store.write(
            IntentFormat.block(number, words, of: id), at: IntentFormat.offset(ofBlock: number))
    }

    private func release() {
        let waiters = waiting.withLock { state in
            defer { state.underWay = [] }
            state.since = state.next.isEmpty ? nil : .now
            return state.underWay
        }
        for waiter in waiters { waiter() }
    }
}

// A state directory that fails or hangs.

extension IntentLog {
    /// Looks now and then whether somebody waits too long, as long as anybody waits.
    private func watch() {
        Self.watchers.asyncAfter(deadline: .now() + .nanoseconds(Int(patience / .nanoseconds(4)))) {
            [weak self] in
            guard let self else { return }
            let (isLeft, isLate) = waiting.withLock { state in
                let since = state.since
                state.isWatched = since != nil
                return (since != nil, since.map { .now - $0 > self.patience } ?? false)
            }
            if isLate { becomeVoid(.timedOut) }
            if isLeft { watch() }
        }
    }

    private static let watchers = DispatchQueue(label: "twinfs.intent.watch", qos: .utility)

    /// Nothing is concluded from this log again. Writes go on once that is known elsewhere,
    /// durably, or could not be made known in time.
    func becomeVoid(_ error: Errno) {
        let isFirst = failure.compareExchange(
            expected: 0, desired: error.rawValue, ordering: .sequentiallyConsistent
        ).exchanged
        guard isFirst else { return }
        let limit = Int(patience / .nanoseconds(1))
        Self.watchers.asyncAfter(deadline: .now() + .nanoseconds(limit)) { self.letAllGo() }
        guard let tell = voided.withLock({ $0 }) else { return letAllGo() }
        tell(error) { self.letAllGo() }
    }

    private func letAllGo() {
        // Without a log everything is compared: one more way to say it.
        let isFirst = !bits.admitsAll.exchange(true, ordering: .sequentiallyConsistent)
        if isFirst, isVoid { queue.async { [self] in try? store.remove() } }
        let waiters = waiting.withLock { state in
            defer { (state.next, state.ranges, state.underWay, state.since) = ([], [], [], nil) }
            return state.underWay + state.next
        }
        for waiter in waiters { waiter() }
    }

    /// Takes the file away: the job is over. Nobody waits any more, and nothing is written
    /// afterwards.
    ///
    /// - Parameter done: called afterwards, on `queue`, with whether the file is gone.
    package func remove(then done: @escaping @Sendable (_ isGone: Bool) -> Void = { _ in }) {
        close()
        queue.async { [self] in
            do throws(Errno) {
                try store.remove()
                done(true)
            } catch {
                done(error == .noSuchFileOrDirectory)
            }
        }
    }

    /// Its bits stay for the next mount, which has exact marks: without those it has to compare,
    /// since no heartbeat says that nobody else has written meanwhile.
    package func suspend() {
        close()
        queue.sync {
            if !isVoid {
                try? store.write(IntentFormat.sealed([]), at: UInt64(IntentFormat.blockSize))
            }
        }
    }

    /// The log stays on disk as it is; whoever still asks is let go.
    package func close() {
        waiting.withLock { $0.isClosed = true }
        letAllGo()
    }

    package var isClosed: Bool { waiting.withLock { $0.isClosed } }
}
