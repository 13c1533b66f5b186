import MirrorCore
import Testing

@Suite("Sizes")
struct ByteSizeTests {
    static let sizes: [(String, Int)] = [
        ("0", 0), ("513", 513), ("12B", 12), ("4K", 4096), ("4k", 4096), ("4KiB", 4096),
        ("3M", 3 << 20), ("3MiB", 3 << 20), ("2G", 2 << 30), ("2GiB", 2 << 30), ("1T", 1 << 40),
        ("1TiB", 1 << 40), ("9223372036854775807", Int.max),
    ]

    @Test("a size is read with every unit", arguments: sizes)
    func reads(text: String, bytes: Int) { #expect(ByteSize.parse(text) == bytes) }

    @Test(
        "what is no size is refused",
        arguments: [
            "", "K", "-1", "+1", "1.5G", "4KB", "4 K", "4X", "4KiBs", "٤", "9223372036854775808",
            "9223372036854775807K", "0x10",
        ])
    func refuses(text: String) { #expect(ByteSize.parse(text) == nil) }

    static let shown: [(Int, String)] = [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1023.9 KiB"),
        (13_207_024_435, "12.2 GiB"), (Int.max, "8388607.9 TiB"), (-5, "0 B"),
    ]

    @Test("a size is shown with one decimal, never rounded up", arguments: shown)
    func shows(bytes: Int, text: String) { #expect(ByteSize.text(bytes) == text) }

    @Test("a rate says that it is one")
    func rate() { #expect(ByteSize.rateText(4096) == "4.0 KiB/s") }

    @Test(
        "an exact size is read back as itself",
        arguments: [0, 1, 512, 513, 4096, 16 << 20, 3 << 40, Int.max])
    func exact(bytes: Int) { #expect(ByteSize.parse(ByteSize.exactText(bytes)) == bytes) }
}
