import MirrorSystem

/// The records of one kind of handles.
///
/// A record: the handle's number (0: free), node, flags of the open, backing id, number to wake a
/// poller by, and for `control` the last command's answer. The number is the place and above it a
/// serial number that is never used twice: RELEASE of a handle that is gone already finds nobody,
/// not its successor.
struct HandleRecords: Sendable {
    static let size = 64
    /// With an answer.
    static let mirrorSize = 8192
    private static let answer = 64
    static let longestAnswer = mirrorSize - answer
    private static let placeBits: UInt64 = 20

    struct Entry: Equatable {
        var number: UInt64
        var node: UInt64
        var flags: Int32 = 0
        var backing: Int32 = 0
        var poller: UInt64 = 0
    }

    private let memory: Memory
    private let recordSize: Int
    let capacity: Int
    private let used: SharedWord
    private let serial: SharedWord

    /// `@unchecked Sendable`: who changes a record owns the handle.
    private struct Memory: @unchecked Sendable { let base: UnsafeMutableRawPointer }

    /// Maps the memory for as long as anybody looks at it.
    private let owner: SharedMemory

    init(
        _ owner: SharedMemory, _ base: UnsafeMutableRawPointer, _ size: Int, _ capacity: Int,
        used: SharedWord,
        _ serial: SharedWord
    ) {
        memory = Memory(base: base)
        self.owner = owner
        (recordSize, self.capacity, self.used, self.serial) = (size, capacity, used, serial)
    }

    var usedCount: Int { min(Int(clamping: used.value), capacity) }

    /// The place of a handle.
    @inline(__always)
    static func place(_ handle: UInt64) -> Int { Int(handle & (1 << placeBits - 1)) }

    /// A number that nothing else has.
    func newSerial() -> UInt64 { serial.next() }

    /// A number for this place that no handle had before.
    func newNumber(at place: Int) -> UInt64 { serial.next() << Self.placeBits | UInt64(place) }

    private func word(_ place: Int, _ index: Int) -> SharedWord {
        SharedWord(memory.base + place * recordSize, index)
    }

    func write(_ entry: Entry) {
        let place = Self.place(entry.number)
        // Another thread may write a higher place at this moment.
        if place >= usedCount { used.raise(to: UInt64(place + 1)) }
        word(place, 0).set(0)
        word(place, 1).set(entry.node)
        word(place, 2).set(UInt64(UInt32(bitPattern: entry.flags)))
        word(place, 3).set(UInt64(UInt32(bitPattern: entry.backing)))
        word(place, 4).set(entry.poller)
        word(place, 5).set(0)
        word(place, 6).set(0)
        word(place, 0).set(entry.number)
    }

    /// Whether the number is that of a handle that is open.
    func isValid(_ handle: UInt64) -> Bool {
        let place = Self.place(handle)
        return handle != 0 && place < usedCount && word(place, 0).value == handle
    }

    func clear(_ handle: UInt64) { word(Self.place(handle), 0).set(0) }

    func setPoller(_ poller: UInt64, of handle: UInt64) { word(Self.place(handle), 4).set(poller) }

    var all: [Entry] {
        (0..<usedCount).compactMap { place in
            let number = word(place, 0).value
            if number == 0 { return nil }
            return Entry(
                number: number, node: word(place, 1).value,
                flags: Int32(bitPattern: UInt32(truncatingIfNeeded: word(place, 2).value)),
                backing: Int32(bitPattern: UInt32(truncatingIfNeeded: word(place, 3).value)),
                poller: word(place, 4).value)
        }
    }

    /// Keeps what a command came to, cut where it is too long; nothing of it is read.
    func setAnswer(_ text: [UInt8], of handle: UInt64) {
        let place = memory.base + Self.place(handle) * recordSize
        let text = text.prefix(Self.longestAnswer)
        SharedWord(place, 5).set(0)
        text.withUnsafeBytes {
            (place + Self.answer).copyMemory(
                from: $0.baseAddress ?? UnsafeRawPointer(place), byteCount: $0.count)
        }
        SharedWord(place, 6).set(0)
        SharedWord(place, 5).set(UInt64(text.count))
    }

    /// The answer, and how many bytes of it were read.
    func answer(of handle: UInt64) -> (text: [UInt8], read: Int) {
        let place = memory.base + Self.place(handle) * recordSize
        let count = min(Int(clamping: SharedWord(place, 5).value), Self.longestAnswer)
        let text = Array(UnsafeRawBufferPointer(start: place + Self.answer, count: count))
        return (text, min(Int(clamping: SharedWord(place, 6).value), count))
    }

    /// How far an open `events` was read, or an answer.
    func read(of handle: UInt64) -> Int { Int(clamping: word(Self.place(handle), 6).value) }

    func setRead(_ count: Int, of handle: UInt64) {
        word(Self.place(handle), 6).set(UInt64(count))
    }
}
