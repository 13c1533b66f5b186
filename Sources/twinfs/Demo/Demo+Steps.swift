import MirrorCore
import MirrorSystem
import SystemPackage

extension Demo {
    /// An image with a filesystem full of files, and room behind it.
    func makeImage() throws {
        for path in [images, backup, tree] { _ = try path.makeDirectory() }
        for number in 0..<96 { try makeFile(number) }
        let file = try FileDescriptor.openBacking(image, .readWrite, [.create])
        defer { try? file.close() }
        try file.setSize(UInt64(Self.imageMiB) << 20)
        let size = "\(Self.filesystemMiB)M"
        try runProgram("mkfs.ext4", ["-q", "-F", "-d", tree.string, image.string, size])
    }

    private var tree: FilePath { directory.appending("tree") }

    /// One mebibyte that no copier can take for zeroes.
    private func makeFile(_ number: Int) throws {
        let path = tree.appending("file-\(number)")
        let file = try FileDescriptor.openBacking(path, .writeOnly, [.create])
        defer { try? file.close() }
        var random = Scramble(seed: UInt64(number + 1))
        let words = (0..<131_072).map { _ in random.next() }
        try words.withUnsafeBytes { try file.writeFully($0, at: 0) }
    }

    /// Runs a program to its end; an error with its output where it fails.
    func runProgram(_ program: String, _ arguments: [String]) throws {
        let pipe = try FileDescriptor.closeOnExecPipe()
        let child: ChildProcess
        do {
            let words = ([program] + arguments).map { Array($0.utf8) }
            child = try ChildProcess(Self.located(program), words, output: pipe.writeEnd)
        } catch {
            throw Failure(.failure, "cannot run \(program): \(error); is it installed?")
        }
        try pipe.writeEnd.close()
        let output = String(decoding: try pipe.readEnd.rest(), as: UTF8.self)
        try pipe.readEnd.close()
        let end = try child.wait()
        guard end == .exited(0) else {
            throw Failure(.failure, "\(program) failed (\(end)): \(NameText.harmless(output))")
        }
    }

    /// Programs for administrators are not on everybody's PATH.
    private static func located(_ program: String) -> String {
        if program.contains("/") { return program }
        let places = ["/usr/sbin/", "/sbin/"].map { $0 + program }
        return places.first { (try? FilePath($0).status()) != nil } ?? program
    }

    /// Whatever happened: no mount and no file stays behind.
    func cleanUp() {
        let table = try? Mounted.table()
        if table?.place(of: images.bytes)?.mountpoint == images.bytes {
            do {
                try UnmountCommand.unmount(Mounted(mountpoint: images), source: images)
            } catch {
                let reason = (error as? Failure)?.message ?? "\(error)"
                return Console.complain("\(directory) is left behind: \(reason)")
            }
        }
        do { try runProgram("rm", ["-rf", "--", directory.string]) } catch {
            Console.complain("\(directory) is left behind: \(error)")
        }
    }
}

/// Compares files.
enum FileComparison {
    /// Whether both hold the same bytes.
    static func areEqual(_ first: FilePath, _ second: FilePath) throws -> Bool {
        let files = try [first, second].map { try FileDescriptor.openBacking($0, .readOnly) }
        defer { for file in files { try? file.close() } }
        let sizes = try files.map { try $0.status().size }
        guard sizes[0] == sizes[1] else { return false }
        var buffers = files.map { _ in [UInt8](repeating: 0, count: 1 << 20) }
        for offset in stride(from: 0, to: sizes[0], by: 1 << 20) {
            for index in 0...1 {
                _ = try buffers[index].withUnsafeMutableBytes {
                    try files[index].readFully(into: $0, at: offset)
                }
            }
            if buffers[0] != buffers[1] { return false }
        }
        return true
    }
}

/// xorshift64*: bytes that look random, the same for the same seed.
struct Scramble: RandomNumberGenerator {
    private var state: UInt64

    /// - Parameter seed: not 0.
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }
}
