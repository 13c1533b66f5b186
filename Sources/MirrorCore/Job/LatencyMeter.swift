/// How long an image's requests spend at its source, counted by every request without a lock.
///
/// The counts only grow: each job that looks at them remembers what it saw last. They are striped,
/// so that requests which are done at once seldom meet on one cache line.
public final class LatencyMeter: Sendable {
    /// Requests that take about as long as each other when nothing disturbs them.
    public enum Kind: Int, CaseIterable, Sendable {
        case smallRead, largeRead, smallWrite, largeWrite, flush

        /// Up to this many bytes a request is small.
        static let smallest = 32 << 10

        public static func read(_ bytes: Int) -> Kind { bytes > smallest ? .largeRead : .smallRead }
        public static func write(_ bytes: Int) -> Kind {
            bytes > smallest ? .largeWrite : .smallWrite
        }
    }

    /// So many requests took so long together.
    public struct Load: Hashable, Sendable {
        public var count: Int
        public var nanoseconds: Int

        public init(count: Int = 0, nanoseconds: Int = 0) {
            (self.count, self.nanoseconds) = (count, nanoseconds)
        }
    }

    private static let stripes = 8
    /// Words from one stripe to the next: two cache lines, for two words of each kind.
    private static let spacing = 16

    private let words = AtomicWords(count: stripes * spacing)

    public init() {}

    /// Counts a request that began and ended at these instants, nanoseconds of one monotonic clock.
    @inline(__always)
    public func add(_ kind: Kind, from start: Int, to end: Int) {
        // The low bits of a clock are as good as random.
        let word = (end >> 6) % Self.stripes * Self.spacing + kind.rawValue * 2
        words.add(1, word)
        words.add(UInt64(max(0, end - start)), word + 1)
    }

    /// What was counted so far, by kind. No single instant: a request that is just being counted
    /// may be in it without its time.
    public var loads: [Load] {
        Kind.allCases.map { kind in
            var load = Load()
            for stripe in 0..<Self.stripes {
                let word = stripe * Self.spacing + kind.rawValue * 2
                load.count += Int(words.load(word))
                load.nanoseconds += Int(words.load(word + 1))
            }
            return load
        }
    }
}
