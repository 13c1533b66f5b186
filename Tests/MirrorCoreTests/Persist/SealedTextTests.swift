import MirrorCore
import Testing

@Suite struct SealedTextTests {
    private let body = Array("{\"records\":[1,2,3]}\n".utf8)

    @Test func `the checksum is CRC-32C`() {
        #expect(Checksum.crc32c([]) == 0)
        #expect(Checksum.crc32c(Array("123456789".utf8)) == 0xe306_9283)
        #expect(Checksum.crc32c([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    }

    @Test func `a text that was sealed is read again`() throws {
        #expect(try SealedText.open(SealedText.seal(body)) == body)
        #expect(try SealedText.open(SealedText.seal([])) == [])
    }

    @Test func `a sealed file cut at any length is refused`() {
        let file = SealedText.seal(body)
        for length in 0..<file.count {
            #expect(throws: SealedText.Failure.damaged) {
                try SealedText.open(Array(file[..<length]))
            }
        }
        #expect(throws: SealedText.Failure.damaged) { try SealedText.open(file + [0x20]) }
    }

    @Test func `a sealed file with any byte changed is refused`() {
        let file = SealedText.seal(body)
        for index in file.indices {
            for bits in [0x01, 0x20, 0x80, 0xff] as [UInt8] {
                var changed = file
                changed[index] ^= bits
                #expect(throws: SealedText.Failure.self) { try SealedText.open(changed) }
            }
        }
    }

    @Test func `a sealed text of a newer version is told apart from damage`() {
        let file = Array("{\"version\":12,\"other\":true}\nwhatever".utf8)
        #expect(throws: SealedText.Failure.version(12)) { try SealedText.open(file) }
    }

    @Test func `a name is the same again after it was shown`() {
        let names: [[UInt8]] = [
            [], Array("vm 1.img".utf8), [0xff, 0x5c, 0x0a, 0x41], Array("\\x41".utf8),
            Array("ü/é".utf8), Array(1...255),
        ]
        for name in names { #expect(NameText.name(shown: NameText.shown(name)) == name) }
        for text in ["\\", "\\x", "\\x4", "\\q", "\\xzz"] {
            #expect(NameText.name(shown: text) == nil)
        }
    }
}
