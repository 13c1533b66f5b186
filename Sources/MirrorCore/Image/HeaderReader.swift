/// Why a header whose format is certain does not say what it refers to: `its qcow2 header …`.
struct Unreadable: Error {
    let why: String

    init(_ why: String) { self.why = why }
}

/// An image's bytes at any offset, read with a budget: whatever the header claims, no more than
/// `mostReads` reads of together `mostBytes` are made.
final class HeaderReader {
    static let mostReads = 1024
    static let mostBytes = 4 << 20
    /// The farthest offset that is believed. What is added to one can then not overflow.
    static let farthest = UInt64(1) << 60

    private let read: (UInt64, Int) -> [UInt8]?
    private var reads = 0
    private var bytes = 0

    init(read: @escaping (UInt64, Int) -> [UInt8]?) { self.read = read }

    /// From `offset` on, at most `count` bytes and at most `ImageHeader.largestRead`; fewer at the
    /// end.
    func upTo(_ count: UInt64, from offset: UInt64) throws(Unreadable) -> [UInt8] {
        let count = Int(min(count, UInt64(ImageHeader.largestRead)))
        guard offset < Self.farthest else { throw Unreadable("its header points past any file") }
        reads += 1
        bytes += count
        guard reads <= Self.mostReads, bytes <= Self.mostBytes else {
            throw Unreadable("its header takes too much reading")
        }
        guard let found = read(offset, count) else { throw Unreadable("it cannot be read") }
        return Array(found.prefix(count))
    }

    /// `count` bytes at `offset`, all of them.
    func slice(_ offset: UInt64, _ count: UInt64) throws(Unreadable) -> [UInt8] {
        let found = try upTo(count, from: offset)
        guard UInt64(found.count) == count else { throw Unreadable("it ends within its header") }
        return found
    }

    func has(_ text: String, at offset: UInt64) throws(Unreadable) -> Bool {
        try upTo(UInt64(text.utf8.count), from: offset).elementsEqual(text.utf8)
    }

    /// An unsigned number of `count` bytes, at most 8, most significant first.
    func bigEndian(_ offset: UInt64, _ count: UInt64) throws(Unreadable) -> UInt64 {
        try slice(offset, count).bigEndian
    }

    /// A number of `count` bytes at `offset`, least significant byte first.
    func littleEndian(_ offset: UInt64, _ count: UInt64) throws(Unreadable) -> UInt64 {
        try slice(offset, count).littleEndian
    }
}

extension Collection<UInt8> {
    /// The first 8 bytes, or fewer, as a number, most significant first.
    var bigEndian: UInt64 { prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }

    /// The first eight bytes as a number, least significant byte first.
    var littleEndian: UInt64 { prefix(8).reversed().bigEndian }

    /// What a C program takes for the name: up to the first zero byte.
    var upToZero: [UInt8] { Array(prefix { $0 != 0 }) }
}
