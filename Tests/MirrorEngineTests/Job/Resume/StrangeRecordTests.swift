import Foundation
import MirrorCore
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// Records with a right checksum that say what no twinfs of this version writes: they are refused
/// with words, or harmless, and never end a worker.
@Suite struct StrangeRecordTests {
    let bench: Bench

    init() throws {
        bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 20)
        try bench.makeFile("other.img", bytes: 1 << 20)
    }

    private let strange: [Any] = [
        Int.max, Int.min, -1, 0, UInt64.max, 1 << 60, 1e300, "", "bucket", "/", "a/b", "\u{0}",
        "..", true, [Int](), [String: Int](), NSNull(),
    ]

    /// Every place in a value: keys and indices.
    private func places(_ value: Any) -> [[Any]] {
        if let fields = value as? [String: Any] {
            return fields.keys.sorted().flatMap { key in
                [[key]] + places(fields[key]!).map { [key as Any] + $0 }
            }
        }
        guard let list = value as? [Any] else { return [] }
        return list.indices.flatMap { index in
            [[index]] + places(list[index]).map { [index as Any] + $0 }
        }
    }

    private func replacing(_ value: Any, _ place: ArraySlice<Any>, _ new: Any) -> Any {
        guard let first = place.first else { return new }
        if var fields = value as? [String: Any], let key = first as? String {
            fields[key] = replacing(fields[key]!, place.dropFirst(), new)
            return fields
        }
        guard var list = value as? [Any], let index = first as? Int else { return value }
        list[index] = replacing(list[index], place.dropFirst(), new)
        return list
    }

    private func sealed(_ value: Any) throws -> [UInt8] {
        SealedText.seal(Array(try JSONSerialization.data(withJSONObject: value)))
    }

    /// The only record in the state directory.
    private func record() throws -> (name: String, path: FilePath, value: Any) {
        let names = try FileManager.default.contentsOfDirectory(atPath: bench.state.string)
        let name = try #require(names.first { $0.hasPrefix("job-") && $0.hasSuffix(".json") })
        let path = bench.state.appending(name)
        let body = try SealedText.open(path.content())
        return (name, path, try JSONSerialization.jsonObject(with: Data(body)))
    }

    private func starts(_ image: String, in engine: Engine? = nil) {
        let start = "mirror \(image) target=\(bench.target)/ intent=off"
        #expect(bench.command(start, in: engine).errno == nil)
        #expect((engine ?? bench.engine).isInSync(image))
    }

    @Test func `whatever a field of a record says, the mount comes up and goes on`() throws {
        starts("vm.img")
        bench.engine.shutDown()
        let (name, path, value) = try record()
        var accepted = 0
        for place in places(value) {
            for new in strange {
                let bytes = try sealed(replacing(value, place[...], new))
                guard (try? JobRecord(bytes, name: name)) != nil else { continue }
                accepted += 1
                guard accepted % Bench.every(3) == 1 else { continue }
                try Data(bytes).write(to: URL(fileURLWithPath: path.string))
                let engine = bench.remounted()
                _ = engine.report()
                engine.shutDown()
            }
        }
        #expect(accepted > 0)
    }

    @Test(arguments: [
        ("members.0.kind", "bucket"), ("phase", "hibernating"), ("members.0.firstPass", "guess"),
        ("ending", "someday"), ("verify", "perhaps"), ("generation", "-1"),
    ])
    func `a record with an unknown word starts nothing, is left as it is, and is named`(
        place: String, word: String
    ) throws {
        starts("vm.img")
        bench.engine.shutDown()
        let (_, path, value) = try record()
        let keys: [Any] = place.split(separator: ".").map { Int($0) ?? String($0) as Any }
        var value2 = value as! [String: Any]
        if keys.count == 1, value2[place] == nil { value2[place] = word }
        let new: Any = Int(word) ?? word as Any
        let bytes = try sealed(replacing(value2, keys[...], new))
        try Data(bytes).write(to: URL(fileURLWithPath: path.string))
        let engine = bench.remounted()
        #expect(engine.report().jobs.isEmpty)
        let warning = engine.report().warnings.first { $0.contains("job-") }
        #expect(warning?.contains("remove the file") == true)
        if place != "generation" { #expect(warning?.contains(place) == true) }
        starts("other.img", in: engine)
        engine.shutDown()
        #expect(try path.content() == bytes)
    }

    @Test func `marks and lists that no table can hold are refused`() {
        let odd: [[UInt64]] = [[0], [0, 1, 2], [.max, 1], [1, .max], [1 << 62, 4096]]
        for extent in odd { #expect(!Plausible.are([extent])) }
        #expect(Plausible.are([[0, 4096], [1 << 40, 1]]))
        for text in ["", "a/b", "/", "../x", "\0"] { #expect(!Plausible.isName(text)) }
        #expect(Plausible.isImage("") && Plausible.isImage("a/b.img"))
        for text in ["/etc/passwd", "a\0b"] { #expect(!Plausible.isImage(text)) }
        for text in ["", "a", "/"] { #expect(!Plausible.isFile(text)) }
    }

    @Test func `a status of another version is refused with the word that is not known`() throws {
        var report = StatusReport(
            version: "9.9.9", source: "/a", mountpoint: "/b", uptime: 1, generation: 1,
            keeperPID: nil, workerPID: 1, jobs: [])
        report.jobs = [JobReport(id: "vm.img", images: ["vm.img"], target: "/t")]
        let json = String(decoding: JSON.bytes(report), as: UTF8.self)
        #expect(try StatusReport(json: Array(json.utf8)).jobs.count == 1)
        let odd = json.replacingOccurrences(of: #""phase":"created""#, with: #""phase":"asleep""#)
        do {
            _ = try StatusReport(json: Array(odd.utf8))
            Issue.record("an unknown word was understood")
        } catch {
            #expect(error.reason.contains("jobs.0.phase") && error.reason.contains("9.9.9"))
        }
    }
}
