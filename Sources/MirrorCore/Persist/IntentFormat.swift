/// How a write-intent log looks on disk (docs/state.md): blocks of 512 bytes, each written as a
/// whole, so that a power cut leaves the old or the new one of each.
///
/// ```
/// block 0      head: magic, version, size of an extent, the log's id
/// block 1      heartbeat: what source and twin looked like when they were last known to be ours
/// block 2 + n  62 words: a bit for each of the 3968 extents from 3968 n on
/// ```
///
/// Every block ends with the CRC-32C of what comes before it. A block of bits carries its own
/// number and the checksum of the log's id: one that belongs elsewhere is damaged like one whose
/// checksum is wrong. What is damaged counts as all set (R10).
public enum IntentFormat {
    public static let version: UInt32 = 1
    public static let blockSize = 512
    /// log2 of an extent's size: 4 MiB.
    public static let extentShift = 22
    public static let wordsPerBlock = 62
    public static let extentsPerBlock = wordsPerBlock * 64
    /// Blocks before the first one with bits.
    public static let headBlocks = 2

    private static let magic = Array("twinfs-intent\n\0\0".utf8)

    /// Blocks of bits for an image of so many bytes.
    public static func blocks(for size: UInt64) -> Int {
        let extents = (size + (1 << UInt64(extentShift)) - 1) >> UInt64(extentShift)
        return max(1, (Int(extents) + extentsPerBlock - 1) / extentsPerBlock)
    }

    /// Where a block of bits lies in the file.
    public static func offset(ofBlock number: Int) -> UInt64 {
        UInt64((headBlocks + number) * blockSize)
    }

    public static func head(_ id: String) -> [UInt8] {
        var bytes = magic
        append(version, to: &bytes)
        append(UInt32(extentShift), to: &bytes)
        append(UInt32(id.utf8.count), to: &bytes)
        return sealed(bytes + id.utf8)
    }

    /// - Parameter words: `wordsPerBlock` of them.
    public static func block(_ number: Int, _ words: [UInt64], of id: String) -> [UInt8] {
        precondition(words.count == wordsPerBlock)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(blockSize)
        append(UInt64(number), to: &bytes)
        for word in words { append(word, to: &bytes) }
        append(Checksum.crc32c(id.utf8), to: &bytes)
        return sealed(bytes)
    }

    /// The words of a block; nil where it cannot be believed.
    public static func words(
        _ block: ArraySlice<UInt8>, number: Int, of id: String
    ) -> [UInt64]? {
        guard let bytes = opened(block) else { return nil }
        guard word(bytes, 0) == UInt64(number) else { return nil }
        var salt: [UInt8] = []
        append(Checksum.crc32c(id.utf8), to: &salt)
        guard Array(bytes.suffix(4)) == salt else { return nil }
        return (1...wordsPerBlock).map { word(bytes, $0 * 8) }
    }

    /// A block of any content up to 508 bytes.
    public static func sealed(_ content: [UInt8]) -> [UInt8] {
        precondition(content.count <= blockSize - 4)
        var bytes = content + [UInt8](repeating: 0, count: blockSize - 4 - content.count)
        append(Checksum.crc32c(bytes), to: &bytes)
        return bytes
    }

    /// The content of a block with its filling; nil where it is damaged.
    public static func opened(_ block: ArraySlice<UInt8>) -> [UInt8]? {
        guard block.count == blockSize else { return nil }
        let content = Array(block.dropLast(4))
        return sealed(content) == Array(block) ? content : nil
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        var rest = value
        for _ in 0..<(type(of: value).bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[offset + $1]) << UInt64($1 * 8) }
    }
}
