import MirrorCore
import Testing

@Suite("Names in outputs")
struct NameTextTests {
    static let names: [([UInt8], String)] = [
        (Array("vm 1.img".utf8), "vm 1.img"), (Array("é日".utf8), "é日"),
        ([0x61, 0x0a], "a\\x0a"),
        ([0x1b, 0x5b], "\\x1b["), ([0xff, 0x61], "\\xffa"), (Array("\\x".utf8), "\\\\x"),
        ([0x7f], "\\x7f"), (Array("\u{85}".utf8), "\\xc2\\x85"),
        (Array("\u{202e}".utf8), "\\xe2\\x80\\xae"), ([0xc3], "\\xc3"),
    ]

    @Test("what is no visible character is shown as its bytes", arguments: names)
    func shown(name: [UInt8], text: String) {
        #expect(NameText.shown(name) == text)
        #expect(NameText.harmless(text) == text)
    }

    @Test("text from outside cannot move the cursor")
    func harmless() { #expect(NameText.harmless("a\u{1b}[2J\n\\") == "a\\x1b[2J\\x0a\\") }
}
