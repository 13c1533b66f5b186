import Testing

@testable import MirrorCore

@Suite("Words of a control line")
struct ControlLineTests {
    /// The words of a line without their quoting.
    func words(_ line: String) throws -> [[UInt8]] {
        try ControlLine.words(Array(line.utf8)).map(\.bytes)
    }

    static let quoted: [(String, [String])] = [
        ("a b", ["a", "b"]), ("  a\t\tb  ", ["a", "b"]), ("a\\ b", ["a b"]),
        ("\"a b\"", ["a b"]),
        ("a\" \"b", ["a b"]), ("\"\"", [""]), ("a\\nb\\tc\\rd", ["a\nb\tc\rd"]),
        ("\\\\ \\\" \\=", ["\\", "\"", "="]), ("\\x41\\x0a", ["A\n"]), ("a\n", ["a"]), ("", []),
        (" \t ", []), ("é", ["é"]),
    ]

    @Test("quoting is taken away", arguments: quoted)
    func unquotes(line: String, expected: [String]) throws {
        #expect(try words(line) == expected.map { Array($0.utf8) })
    }

    @Test("only the first bare equals sign makes a parameter")
    func equals() throws {
        let words = try ControlLine.words(Array("a=b=c \"a=b\" a\\=b a\\==b".utf8))
        #expect(words.map(\.equals) == [1, nil, nil, 2])
        #expect(words[0].pair == ParameterPair(key: [0x61], value: Array("b=c".utf8)))
    }

    @Test("every byte in a name survives quoting")
    func everyByte() throws {
        for first in UInt8(1)...255 {
            for second in [first, 0x20, 0x3d, 0x61, 0x80, 0xbf, 0xc3, 0xff] {
                let line = ControlLine.quote([first, second])
                let words = try ControlLine.words(Array(line.utf8))
                #expect(words == [.init(bytes: [first, second], equals: nil)], "\(line)")
            }
        }
    }

    @Test("random names survive quoting, also as the value of a parameter")
    func randomNames() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededRandom(seed: seed)
        for _ in 0..<3000 {
            let length = Int.random(in: 0...40, using: &random)
            let name = (0..<length).map { _ in UInt8.random(in: 1...255, using: &random) }
            let line = "target=" + ControlLine.quote(name) + " " + ControlLine.quote(name)
            let words = try ControlLine.words(Array(line.utf8))
            #expect(words.count == 2 && words[0].pair?.value == name, "seed \(seed): \(line)")
            #expect(words[1] == .init(bytes: name, equals: nil), "seed \(seed): \(line)")
        }
    }

    @Test(
        "a broken line says what is wrong with it",
        arguments: [
            ("\"a", CommandError.Code.badSyntax), ("a\\", .badSyntax), ("a\\q", .badSyntax),
            ("a\\x4", .badSyntax), ("a\\x00", .badSyntax), ("a\\xg1", .badSyntax),
            ("a\\x+1", .badSyntax), ("a\nb", .badSyntax), ("a\0b", .badSyntax), ("\nb", .badSyntax),
        ])
    func broken(line: String, code: CommandError.Code) {
        let error = #expect(throws: CommandError.self) {
            try ControlLine.words(Array(line.utf8))
        }
        #expect(error?.code == code)
    }

    @Test("a line is read up to its longest length, and no further")
    func longest() throws {
        let longest = [UInt8](repeating: 0x61, count: ControlLine.maxBytes)
        #expect(try ControlLine.words(longest + [0x0a]).count == 1)
        let error = #expect(throws: CommandError.self) { try ControlLine.words(longest + [0x61]) }
        #expect(error?.code == .tooLong)
        #expect(error?.message.contains("16384") == true)
    }

    @Test(
        "a line that is not UTF-8 is refused as such",
        arguments: [[0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80]])
    func notUTF8(line: [UInt8]) {
        #expect(throws: CommandError.self) { try ControlLine.words(line) }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
