import MirrorEngine
import MirrorJob
import Synchronization

/// `events` as one look-up of it sees it: the lines that were there, and those that came since. It
/// only grows, so that `tail -f` works, and forgets its oldest half when it is large.
final class EventView: Sendable {
    /// Most bytes kept for readers who come late to a file that they opened long ago.
    private static let most = 4 << 20

    fileprivate struct State {
        /// Offset in the file of the first byte that is kept.
        var base: Int
        var bytes: [UInt8] = []
        /// Sequence number of the newest event in `bytes`.
        var newest: UInt64 = 0
    }

    private let log: EventLog
    /// Nothing is called under it.
    private let state: Mutex<State>

    /// Offset of the first byte that this worker knows; what was before it is a predecessor's.
    let start: Int

    init(_ log: EventLog, start: Int) {
        self.log = log
        // What a predecessor has kept may be anything; no offset behind it may be too large for a
        // number.
        self.start = min(max(0, start), Int.max / 2)
        state = Mutex(State(base: self.start))
        refresh()
    }

    /// The size of the file, with everything that has happened.
    var end: Int {
        refresh()
        return state.withLock { $0.base + $0.bytes.count }
    }

    /// Up to `count` bytes at `offset`; empty at the end; nil where they were forgotten.
    func bytes(at offset: Int, _ count: Int) -> [UInt8]? {
        refresh()
        return state.withLock { state in
            if offset < state.base { return nil }
            return Array(state.bytes.dropFirst(offset - state.base).prefix(count))
        }
    }

    private func refresh() {
        let known = state.withLock { $0.newest }
        guard log.newest > known else { return }
        let more = log.lines(after: known)
        state.withLock { state in
            // Another reader may have fetched the same lines meanwhile.
            guard state.newest == known else { return }
            state.append(more.text, most: Self.most)
            state.newest = more.newest
        }
    }
}

extension EventView.State {
    fileprivate mutating func append(_ text: [UInt8], most: Int) {
        bytes += text
        guard bytes.count > most else { return }
        let surplus = bytes.count - most / 2
        bytes.removeFirst(surplus)
        base += surplus
    }
}
