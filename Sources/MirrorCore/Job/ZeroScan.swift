/// Finds zeroes in what the copier has read.
public enum ZeroScan {
    /// Bytes that are looked at as one: a run of zeroes shorter than a filesystem block makes no
    /// hole.
    public static let block = 4096

    /// Whether every byte is zero.
    public static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 64 <= bytes.count {
            let vector = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            if vector != SIMD8<UInt64>(repeating: 0) { return false }
            offset += 64
        }
        while offset < bytes.count {
            if unsafe bytes[offset] != 0 { return false }
            offset += 1
        }
        return true
    }

    /// Calls `body` for each run of blocks that are all zero or all not, in order. Blocks begin at
    /// multiples of `block`, so the first and the last may be short.
    ///
    /// With blocks of 4 KiB the bytes 1024..<9216 are looked at as 1024..<4096, 4096..<8192,
    /// 8192..<9216.
    ///
    /// - Parameters:
    ///   - offset: where the first byte lies in its file.
    ///   - block: a power of two.
    public static func forEachRun<Failure: Error>(
        in bytes: UnsafeRawBufferPointer, at offset: UInt64 = 0, block: Int = Self.block,
        _ body: (_ range: Range<Int>, _ isZero: Bool) throws(Failure) -> Void
    ) throws(Failure) {
        let phase = Int(offset & UInt64(block - 1))
        var start = 0
        while start < bytes.count {
            let zero = unsafe isZero(bytes, start, endOfBlock(start, phase, block, bytes.count))
            var end = endOfBlock(start, phase, block, bytes.count)
            while end < bytes.count {
                let next = endOfBlock(end, phase, block, bytes.count)
                guard unsafe isZero(bytes, end, next) == zero else { break }
                end = next
            }
            try body(start..<end, zero)
            start = end
        }
    }

    private static func endOfBlock(_ start: Int, _ phase: Int, _ block: Int, _ count: Int) -> Int {
        min(start + block - (start + phase) & (block - 1), count)
    }

    private static func isZero(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int
    ) -> Bool {
        unsafe isZero(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
    }
}
