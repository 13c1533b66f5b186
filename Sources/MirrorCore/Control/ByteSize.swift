/// Sizes and rates as people write and read them. All units are binary: K is KiB, 1,024 bytes.
public enum ByteSize {
    /// Letter and size in bytes, largest first.
    private static let units: [(letter: String, bytes: Int)] = [
        ("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10),
    ]

    /// The bytes that `text` means: digits, then nothing, `B`, or one of K M G T with or without
    /// `iB`, in either case. Nil where it is anything else or more than `Int.max`. `"4K"` and
    /// `"4KiB"` are 4096.
    public static func parse(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), let unit = unit(text.dropFirst(digits.count)) else {
            return nil
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : bytes
    }

    private static func unit(_ suffix: Substring) -> Int? {
        let suffix = suffix.uppercased()
        if suffix.isEmpty || suffix == "B" { return 1 }
        return units.first { suffix == $0.letter || suffix == $0.letter + "IB" }?.bytes
    }

    /// For people: one decimal, rounded down, as in `12.3 GiB`; whole bytes below 1 KiB, as in
    /// `12 B`.
    public static func text(_ bytes: Int) -> String {
        let bytes = max(0, bytes)
        guard let unit = units.first(where: { bytes >= $0.bytes }) else { return "\(bytes) B" }
        let tenths = (bytes % unit.bytes) * 10 / unit.bytes
        return "\(bytes / unit.bytes).\(tenths) \(unit.letter)iB"
    }

    /// Bytes a second, for people: `4.0 KiB/s`.
    public static func rateText(_ bytesPerSecond: Int) -> String { text(bytesPerSecond) + "/s" }

    /// For messages and parameters: exact, with the largest unit that divides it, as in `4K` or
    /// `513`.
    public static func exactText(_ bytes: Int) -> String {
        guard bytes > 0, let unit = units.first(where: { bytes % $0.bytes == 0 }) else {
            return "\(bytes)"
        }
        return "\(bytes / unit.bytes)\(unit.letter)"
    }
}
