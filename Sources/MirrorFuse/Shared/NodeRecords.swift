import MirrorSystem
import Synchronization

/// The records of the nodes that the kernel knows.
///
/// A record: number (0: free), device, inode, look-ups, which of the two names holds, errno of a
/// failed flush; then two names, each with the directory's number and the length. A new name goes
/// to the place that does not hold, and then holds by one store.
///
/// `@unchecked Sendable`: who changes a record holds the table's lock.
struct NodeRecords: @unchecked Sendable {
    static let size = 640
    private static let names = 64
    private static let nameSize = 288
    static let longestName = 255

    struct Entry: Equatable {
        var number: UInt64
        var identity: FileIdentity
        var lookups: UInt64
        var parent: UInt64
        var name: [UInt8]
        var flushFailure: Int32 = 0
    }

    private let base: UnsafeMutableRawPointer
    /// How many places were ever used.
    private let used: SharedWord

    let capacity: Int

    /// Maps the memory for as long as anybody looks at it.
    private let owner: SharedMemory

    init(
        _ owner: SharedMemory, _ base: UnsafeMutableRawPointer, _ capacity: Int, used: SharedWord
    ) {
        self.owner = owner
        self.base = base
        self.capacity = capacity
        self.used = used
    }

    var usedCount: Int { min(Int(clamping: used.value), capacity) }

    private func word(_ slot: Int, _ index: Int) -> SharedWord {
        SharedWord(base + slot * Self.size, index)
    }

    func write(_ entry: Entry, at slot: Int) {
        if slot >= usedCount { used.set(UInt64(slot + 1)) }
        word(slot, 0).set(0)
        word(slot, 1).set(entry.identity.device)
        word(slot, 2).set(entry.identity.inode)
        word(slot, 3).set(entry.lookups)
        word(slot, 5).set(UInt64(bitPattern: Int64(entry.flushFailure)))
        setName(entry.parent, entry.name, at: slot)
        word(slot, 0).set(entry.number)
    }

    func clear(_ slot: Int) { word(slot, 0).set(0) }

    func setLookups(_ count: UInt64, at slot: Int) { word(slot, 3).set(count) }

    func setFlushFailure(_ error: Int32, at slot: Int) {
        word(slot, 5).set(UInt64(bitPattern: Int64(error)))
    }

    /// A name that is too long is kept as none: the node cannot be found by it.
    func setName(_ parent: UInt64, _ name: [UInt8], at slot: Int) {
        let other = word(slot, 4).value ^ 1
        let place = base + slot * Self.size + Self.names + Int(other & 1) * Self.nameSize
        let name = name.count > Self.longestName ? [] : name
        SharedWord(place, 0).set(parent)
        SharedWord(place, 1).set(UInt64(name.count))
        name.withUnsafeBytes {
            (place + 16).copyMemory(
                from: $0.baseAddress ?? UnsafeRawPointer(place), byteCount: $0.count)
        }
        word(slot, 4).set(other)
    }

    /// Nil where the place is free.
    func entry(at slot: Int) -> Entry? {
        let number = word(slot, 0).value
        guard number != 0 else { return nil }
        let chosen = Int(word(slot, 4).value & 1)
        let place = base + slot * Self.size + Self.names + chosen * Self.nameSize
        let count = min(Int(clamping: SharedWord(place, 1).value), Self.longestName)
        return Entry(
            number: number,
            identity: FileIdentity(device: word(slot, 1).value, inode: word(slot, 2).value),
            lookups: word(slot, 3).value, parent: SharedWord(place, 0).value,
            name: Array(UnsafeRawBufferPointer(start: place + 16, count: count)),
            flushFailure: Int32(truncatingIfNeeded: word(slot, 5).value))
    }

    /// Every valid record with its place.
    var all: [(slot: Int, entry: Entry)] {
        (0..<usedCount).compactMap { slot in
            entry(at: slot).map { (slot, $0) }
        }
    }
}

/// Which places are free.
struct FreeSlots {
    private var returned: [Int] = []
    private var next = 0
    private let capacity: Int

    /// - Parameter used: which of the first `high` places are taken.
    init(capacity: Int, high: Int = 0, used: Set<Int> = []) {
        self.capacity = capacity
        next = min(high, capacity)
        returned = (0..<next).reversed().filter { !used.contains($0) }
    }

    mutating func take() -> Int? {
        if let slot = returned.popLast() { return slot }
        guard next < capacity else { return nil }
        defer { next += 1 }
        return next
    }

    mutating func give(_ slot: Int) { returned.append(slot) }

    /// One past the highest place that was ever taken.
    var high: Int { next }
}
