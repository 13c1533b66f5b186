import MirrorCore
import Testing

/// Damaged headers. A failure tells its seed: put it into `seeds` to see it again.
@Suite("Damaged headers of images")
struct ImageFuzzTests {
    private static let seeds: [UInt64] = [1, 2, 3, .random(in: 0 ... .max)]

    @Test("headers cut off anywhere are answered")
    func truncated() {
        for sample in Mutator.fixtures("base") {
            for length in 0...min(sample.length, 700) {
                var sample = sample
                sample.length = length
                Self.expectBounded(sample, "cut to \(length)")
            }
        }
    }

    @Test("damaged headers are answered with few reads of few bytes", arguments: seeds)
    func damaged(seed: UInt64) {
        var mutator = Mutator(seed: seed)
        for round in 0..<8000 {
            Self.expectBounded(mutator.damaged(), "seed \(seed), round \(round)")
        }
    }

    private static func expectBounded(_ sample: SampleImage, _ where: @autoclosure () -> String) {
        var (reads, bytes) = (0, 0)
        let header = ImageHeader { offset, count in
            reads += 1
            bytes += count
            // Offsets are for pread(2).
            if count > ImageHeader.largestRead || offset > UInt64(Int64.max) - UInt64(count) {
                bytes = .max / 2
            }
            return sample.read(offset, count)
        }
        #expect(reads <= 1024 && bytes <= 4 << 20, "\(`where`())")
        if case .refersTo(let references) = header {
            let isSound = references.allSatisfy { !$0.name.isEmpty && !$0.name.contains(0) }
            #expect(references.count <= 256 && isSound, "\(`where`())")
        }
    }

    @Test("damaged headers never lead out of the source, and a closure is closed", arguments: seeds)
    func closures(seed: UInt64) {
        var mutator = Mutator(seed: seed)
        var accepted = 0
        for round in 0..<1500 {
            let model = SourceModel(mutator.directory())
            let members = try? model.members(of: "a")
            let note = "seed \(seed), round \(round)"
            #expect(model.strayPaths.isEmpty, "\(note)")
            #expect(model.looks <= 256 * 256, "\(note)")
            #expect(
                model.reads.values.allSatisfy { $0.count <= 1024 && $0.bytes <= 4 << 20 }, "\(note)"
            )
            guard let members else { continue }
            accepted += members.count > 1 ? 1 : 0
            #expect(Set(members).count == members.count && members.first == "a", "\(note)")
            #expect(members.allSatisfy { model.files[$0] != nil }, "\(note)")
            #expect(Self.missing(members, model) == [], "\(note)")
        }
        #expect(accepted > 50, "seed \(seed): hardly a closure was accepted")
    }

    /// What the files that were read need, but for what is in `members`: found by another way of
    /// reading a path than the product's.
    private static func missing(_ members: [String], _ model: SourceModel) -> [String] {
        model.reads.keys.flatMap { path -> [String] in
            let path = String(decoding: path, as: UTF8.self)
            guard let file = model.files[path], case .refersTo(let references) = file.header else {
                return ["\(path) is not readable"]
            }
            return references.filter(\.isRequired).map {
                follow(String(decoding: $0.name, as: UTF8.self), from: path)
            }.filter { !members.contains($0) }
        }
    }

    private static func follow(_ name: String, from path: String) -> String {
        var parts = path.split(separator: "/").dropLast()
        for part in name.trimmingPrefix("file:").split(separator: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if parts.popLast() == nil {
                return "outside"
            }
        }
        return parts.joined(separator: "/")
    }
}

/// Makes images of each kind, and damages them.
private struct Mutator {
    private var random: SeededRandom

    private static let samples = fixtures("base.img")
    /// Images of each kind with each of these names.
    private static let named = [
        "b", "base", "d/a", "d/b", "d/e/a", "../a", "../b", "../base", "./b", "e/a", "../../b",
        "/src/b", "/etc/passwd", "../../../b", "file:b", "json:{}", "nbd://b", "d/../b", "..",
    ].map(fixtures)

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// An image of each kind that refers to `name`.
    static func fixtures(_ name: String) -> [SampleImage] {
        let windows = String(name.map { $0 == "/" ? "\\" : $0 })
        let hint =
            "# Disk DescriptorFile\nversion=1\nparentCID=6d09efac\nparentFileNameHint=\"\(name)\"\n"
        return [
            .qcow2(backing: name), .qcow2(backing: name, version: 2), .qcow1(backing: name),
            .qcow2(backing: name, format: "qcow2", dataFile: name + "2"),
            .qcow2(backing: "", dataFile: name), .qed(backing: name), .sparseVmdk(hint),
            .text(hint), .text("# Disk DescriptorFile\nRW 8 FLAT \"\(name)\" 0\nRW 8 ZERO\n"),
            .vhd(relative: windows), .vhd(name: windows), .vdi(type: 1),
            .vhdx(["absolute_win32_path": "C:\\x", "relative_path": windows]), .vhdx(nil),
        ]
    }

    /// A few files with short names that refer to each other and to what is not there; some
    /// damaged.
    mutating func directory() -> [String: SampleImage] {
        let paths = ["a", "b", "d/a", "d/b", "d/e/a", "base"]
        var files: [String: SampleImage] = [:]
        for path in paths {
            let isRaw = path == "base" || Int.random(in: 0..<4, using: &random) == 0
            let sample = Self.named.randomElement(using: &random)!.randomElement(using: &random)!
            files[path] = isRaw ? SampleImage([0, 1, 2]) : sample
            if Int.random(in: 0..<6, using: &random) == 0 { files[path] = damage(sample) }
        }
        return files
    }

    mutating func damaged() -> SampleImage {
        damage(Self.samples.randomElement(using: &random)!)
    }

    private mutating func damage(_ sample: SampleImage) -> SampleImage {
        var sample = sample
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let index = Int.random(in: 0..<sample.pieces.count, using: &random)
            mutate(&sample.pieces[index].bytes)
        }
        if Int.random(in: 0..<8, using: &random) == 0 {
            sample.length = .random(in: 0...sample.length, using: &random)
        }
        return sample
    }

    /// Half of all damage falls on the first 128 bytes, where the headers are.
    private mutating func mutate(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let end = Bool.random(using: &random) ? min(128, bytes.count) : bytes.count
        let place = Int.random(in: 0..<end, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = .random(in: 0...255, using: &random)
        case 2, 3: overwrite(&bytes, at: place, with: number())
        case 4:
            let other = Self.samples.randomElement(using: &random)!
            overwrite(&bytes, at: 0, with: other.read(0, .random(in: 4...200, using: &random)))
        default:
            let from = Int.random(in: 0..<bytes.count, using: &random)
            overwrite(&bytes, at: place, with: Array(bytes[from...].prefix(64)))
        }
    }

    private func overwrite(_ bytes: inout [UInt8], at place: Int, with part: [UInt8]) {
        bytes.put(Array(part.prefix(bytes.count - place)), at: place)
    }

    /// A length or an offset that a careless reader trips over.
    private mutating func number() -> [UInt8] {
        let size = [2, 4, 8].randomElement(using: &random)!
        let values: [UInt64] = [
            0, 1, 7, 8, 511, 1023, 1024, 4095, 4096, 65535, 65536, 1 << 20, 1 << 31, 1 << 32,
            1 << 59,
            1 << 60, 1 << 63, .max - 575, .max - 7, .max,
        ]
        let value = values.randomElement(using: &random)! &+ .random(in: 0...1, using: &random)
        return Bool.random(using: &random) ? value.big(size) : value.little(size)
    }
}
