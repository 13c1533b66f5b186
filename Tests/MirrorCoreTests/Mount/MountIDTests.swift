import Testing

@testable import MirrorCore

@Suite("Mount ids")
struct MountIDTests {
    func id(_ path: String) -> String { MountID.of(Array(path.utf8)) }

    @Test("the hash gives FNV-1a's published values")
    func vectors() {
        #expect(MountID.hash([]) == 0xcbf2_9ce4_8422_2325)
        #expect(MountID.hash(Array("a".utf8)) == 0xaf63_dc4c_8601_ec8c)
        #expect(MountID.hash(Array("foobar".utf8)) == 0x8594_4171_f739_67e8)
    }

    @Test("an id names its directory, and never changes")
    func stable() { #expect(id("/srv/images") == "images-cf37f5bf50c72e0e") }

    @Test("directories of one name have different ids")
    func different() {
        #expect(id("/a/images") != id("/b/images"))
        #expect(id("/a/images").hasPrefix("images-"))
    }

    @Test(
        "any name gives a harmless one",
        arguments: [
            ("/", "root"), ("/a/b c", "b_c"), ("/a/.hidden", "_hidden"), ("/a/ü", "__"),
            ("/a/x\n\u{1b}[1m", "x___1m"),
            ("/a/" + String(repeating: "n", count: 255), String(repeating: "n", count: 64)),
        ])
    func harmless(path: String, name: String) {
        let id = id(path)
        #expect(id.dropLast(17) == name[...])
        #expect(
            id.dropFirst(name.count + 1).allSatisfy { $0.isHexDigit } && id.count == name.count + 17
        )
    }
}
