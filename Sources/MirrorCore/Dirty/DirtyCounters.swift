extension DirtyTable {
    /// What the table knows of itself as a whole.
    struct Counters: ~Copyable, Sendable {
        private static let dirty = 0
        private static let claimed = 8
        private static let asleep = 24
        private static let ownMarks = 32
        private static let takes = 40
        private static let forwarded = 48
        /// Each word on a cache line of its own.
        private let words = AtomicWords(count: 56)
        private let length: AtomicWords

        /// - Parameter length: the word that says whether the size is dirty.
        init(length: consuming AtomicWords = AtomicWords(count: 1)) { self.length = length }

        /// Dirty granules. Exact while no marker is under way; a marker that has set its bits and
        /// not yet counted them may let it lag, or be negative for an instant: read as zero then.
        var dirty: Int { max(0, Int(bitPattern: UInt(words.load(Self.dirty)))) }
        func addDirty(_ count: Int) { words.add(UInt64(bitPattern: Int64(count)), Self.dirty) }

        /// Claimed granules.
        var claimed: Int { Int(words.load(Self.claimed)) }
        func addClaimed(_ count: Int) { words.add(UInt64(bitPattern: Int64(count)), Self.claimed) }

        /// Bytes of forwards under way.
        var forwarded: Int { Int(words.load(Self.forwarded)) }
        func addForwarded(_ count: Int) {
            words.add(UInt64(bitPattern: Int64(count)), Self.forwarded)
        }

        /// The size differs.
        private static let dirtyLength: UInt64 = 1
        /// It is being given to the twin: dirty for a successor.
        private static let takenLength: UInt64 = 2

        var isLengthDirty: Bool { length.load(0) & Self.dirtyLength != 0 }
        func setLengthDirty() { _ = length.set(Self.dirtyLength, 0) }
        func takeLength() { length.store(Self.takenLength, 0) }
        func settleLength() { _ = length.clear(Self.takenLength, 0) }

        /// How many times marks were about to be cleared, or a forward about to begin, so that a
        /// reader on another thread can tell that none were while it looked.
        var takes: UInt64 { words.load(Self.takes) }
        func noteTake() { words.add(1, Self.takes) }

        /// Marks of the job itself under way. Not counted in the image's gauge: another job that
        /// holds the gate waits for that one to be idle, and nobody would tell it when ours is
        /// done.
        var hasOwnMarks: Bool { words.load(Self.ownMarks) != 0 }
        func addOwnMarks(_ count: Int) {
            words.add(UInt64(bitPattern: Int64(count)), Self.ownMarks)
        }

        private static let sleepsForMarks: UInt64 = 1
        private static let sleepsForQuiet: UInt64 = 2

        /// The copier says that it will sleep; it looks at the table once more afterwards.
        /// - Parameter isForQuiet: whether it wants to be woken by the last forward's end too.
        func fallAsleep(isForQuiet: Bool) {
            words.store(isForQuiet ? Self.sleepsForQuiet : Self.sleepsForMarks, Self.asleep)
        }

        func stayAwake() { words.store(0, Self.asleep) }
        var isAsleep: Bool { words.load(Self.asleep) != 0 }

        /// Whether the copier slept; true for one caller each time it does. A marker asks after its
        /// marks, the copier looks after `fallAsleep`, both in one total order: one of them sees
        /// the other.
        @inline(__always)
        func shouldWake() -> Bool {
            let sleep = words.load(Self.asleep)
            return sleep != 0 && words.replace(sleep, with: 0, Self.asleep).0
        }

        /// `shouldWake` for a forward that has ended over clean granules.
        func shouldWakeForQuiet() -> Bool {
            words.load(Self.asleep) == Self.sleepsForQuiet && forwarded == 0 && shouldWake()
        }
    }
}
