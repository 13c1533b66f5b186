/// CRC-32C (Castagnoli), the checksum of what is kept on disk. It finds every change of up to 32 bits in
/// a row, so every changed byte.
public enum Checksum {
    /// Reflected polynomial.
    private static let polynomial: UInt32 = 0x82f6_3b78

    /// The checksum of `bytes`. Linear; for files of a few kilobytes, so there is no table.
    public static func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var remainder = UInt32.max
        for byte in bytes {
            remainder ^= UInt32(byte)
            for _ in 0..<8 {
                let carry = remainder & 1
                remainder = (remainder >> 1) ^ (carry == 0 ? 0 : polynomial)
            }
        }
        return ~remainder
    }
}
