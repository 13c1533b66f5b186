/// Finds zeroes in what the copier has read.
public enum ZeroScan {
    /// Bytes that are looked at as one: a run of zeroes shorter than a filesystem block makes no hole.
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

    /// Calls `body` for each run of blocks that are all zero or all not, in order; the last block may be
    /// short. The first block starts at the first byte.
    public static func forEachRun<Failure: Error>(
        in bytes: UnsafeRawBufferPointer,
        _ body: (_ range: Range<Int>, _ isZero: Bool) throws(Failure) -> Void
    ) throws(Failure) {
        var start = 0
        while start < bytes.count {
            let zero = unsafe isZero(block(of: bytes, at: start))
            var end = min(start + block, bytes.count)
            while end < bytes.count, unsafe isZero(block(of: bytes, at: end)) == zero {
                end = min(end + block, bytes.count)
            }
            try body(start..<end, zero)
            start = end
        }
    }

    private static func block(
        of bytes: UnsafeRawBufferPointer, at offset: Int
    ) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<min(offset + block, bytes.count)])
    }
}
