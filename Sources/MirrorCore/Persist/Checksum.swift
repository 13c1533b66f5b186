/// CRC-32C (Castagnoli), the checksum of what is kept on disk. It finds every change of up to 32
/// bits in a row, so every changed byte.
public enum Checksum {
    /// Reflected polynomial.
    private static let polynomial: UInt32 = 0x82f6_3b78

    /// The remainder of each byte.
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { remainder, _ in
            (remainder >> 1) ^ (remainder & 1 == 0 ? 0 : polynomial)
        }
    }

    /// The checksum of `bytes`. Linear; two or three nanoseconds a byte.
    public static func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let table = table
        var remainder = UInt32.max
        for byte in bytes {
            remainder = (remainder >> 8) ^ table[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)]
        }
        return ~remainder
    }
}
