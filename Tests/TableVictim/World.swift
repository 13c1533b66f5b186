import MirrorCore
import MirrorSystem

/// A source and a twin of a number a granule, and their sizes.
///
/// `@unchecked Sendable`: plain words, as bytes of a file are; the table orders what matters.
final class World: @unchecked Sendable {
    static let granularity = Granularity(bytes: 64 << 10)!
    static let granulesPerShard = 2048
    static let granules = 3 * granulesPerShard
    static let byteCount = (8 + 2 * granules) * 8

    private let memory: SharedMemory
    let source: UnsafeMutablePointer<UInt64>
    let twin: UnsafeMutablePointer<UInt64>
    /// Of source and twin.
    let lengths: UnsafeMutablePointer<UInt64>

    init(_ memory: SharedMemory) {
        self.memory = memory
        let words = memory.bytes.bindMemory(to: UInt64.self).baseAddress!
        lengths = words + 1
        source = words + 8
        twin = source + Self.granules
    }

    /// Whether the victim is at work.
    var isReady: Bool {
        get { memory.bytes.load(as: UInt8.self) != 0 }
        set { memory.bytes.storeBytes(of: newValue ? 1 : 0, as: UInt8.self) }
    }
}
