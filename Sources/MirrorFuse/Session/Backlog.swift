import Synchronization

/// Requests that were received and not begun, because nearly every thread is at work already: with
/// a source that hangs, all of them would be, and nobody would answer for `.mirror`.
///
/// R8: one that is added leaves the queue once, for a thread that answers it. A successor needs to
/// know nothing of them, the kernel sends it what was not answered. Requests that are under way
/// together have no order, so a late one does no harm.
final class Backlog: Sendable {
    /// Bytes.
    private let most: Int

    fileprivate struct Waiting {
        var requests: [[UInt8]] = []
        /// Those before it are taken.
        var first = 0
        var bytes = 0
        /// Places of taken requests that are kept.
        static let mostTaken = 1024
    }

    /// Looked at by every thread before each request, without the lock.
    private let count = Atomic<Int>(0)
    /// Protects the requests, and every change of `count`. Nothing is called under it.
    private let waiting = Mutex(Waiting())

    /// - Parameter most: bytes. What comes when they are used up takes a thread all the same.
    init(most: Int = 256 << 20) { self.most = most }

    @inline(__always)
    var isEmpty: Bool { count.load(ordering: .sequentiallyConsistent) == 0 }

    /// Keeps a copy. False where there is no room.
    func add(_ request: UnsafeRawBufferPointer) -> Bool {
        let copy = [UInt8](request)
        return waiting.withLock { waiting in
            guard waiting.bytes + copy.count <= most else { return false }
            waiting.bytes += copy.count
            waiting.requests.append(copy)
            count.add(1, ordering: .sequentiallyConsistent)
            return true
        }
    }

    /// What it keeps in memory, taken requests among them.
    var places: Int { waiting.withLock { $0.requests.count } }

    /// Takes the oldest one, as if it had just been received into `buffer`; its length, nil where
    /// there is none.
    func take(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard let request = waiting.withLock({ $0.take(count) }) else { return nil }
        buffer.copyBytes(from: request)
        return request.count
    }
}

extension Backlog.Waiting {
    fileprivate mutating func take(_ count: borrowing Atomic<Int>) -> [UInt8]? {
        if first == requests.count { return nil }
        let request = requests[first]
        requests[first] = []
        first += 1
        bytes -= request.count
        count.subtract(1, ordering: .sequentiallyConsistent)
        if first == requests.count {
            (requests, first) = ([], 0)
        } else if first >= Self.mostTaken, first * 2 >= requests.count {
            // One that is never empty would grow for ever. Each request is moved once for each that
            // was taken.
            requests.removeFirst(first)
            first = 0
        }
        return request
    }
}
