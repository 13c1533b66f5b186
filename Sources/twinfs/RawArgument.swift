import ArgumentParser
import MirrorSystem
import SystemPackage

/// A word of the command line as the bytes that it is.
///
/// Names need not be UTF-8, but the argument parser works with strings. Bytes that are no UTF-8
/// travel through it as characters of a private plane (U+10FF00 + byte) and are turned back here.
struct RawArgument: ExpressibleByArgument, Hashable {
    let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    init(argument: String) {
        bytes = argument.unicodeScalars.flatMap { scalar -> [UInt8] in
            guard scalar.value >= Self.plane else { return Array(String(scalar).utf8) }
            return [UInt8(truncatingIfNeeded: scalar.value)]
        }
    }

    var path: FilePath { FilePath(bytes: bytes) }

    /// The arguments of this program, without its name, as the parser takes them.
    static var commandLine: [String] {
        let words = CommandLine.rawArguments.dropFirst().map(encoded)
        let end = words.firstIndex(of: "--") ?? words.endIndex
        return words[..<end].flatMap(separated) + words[end...]
    }

    /// `-oallow_other`, as FUSE's users write it, becomes two words; the parser would read letters.
    private static func separated(_ word: String) -> [String] {
        guard word.hasPrefix("-o"), word.count > 2 else { return [word] }
        return ["-o", String(word.dropFirst(2))]
    }

    private static let plane: UInt32 = 0x10ff00

    private static func encoded(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var text = String.UnicodeScalarView()
        for byte in bytes {
            text.append(Unicode.Scalar(byte < 0x80 ? UInt32(byte) : plane + UInt32(byte))!)
        }
        return String(text)
    }
}

extension CommandLine {
    /// Every argument with the program's name first, as the kernel gave them.
    static var rawArguments: [[UInt8]] {
        (0..<Int(argc)).compactMap { unsafeArgv[$0] }.map { argument in
            var (bytes, rest) = ([UInt8](), argument)
            while rest.pointee != 0 {
                bytes.append(UInt8(bitPattern: rest.pointee))
                rest += 1
            }
            return bytes
        }
    }
}
