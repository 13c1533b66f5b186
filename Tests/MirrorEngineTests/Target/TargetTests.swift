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

@Suite struct TargetTests {
    @Test func `a twin keeps its working name until it is published`() throws {
        let bench = try TargetBench()
        let twin = try bench.twin()
        defer { twin.close() }
        #expect(twin.firstPass == .data && bench.names == ["vm.img.partial"])
        try bench.copy(to: twin)
        try twin.publish()
        try twin.publish()
        #expect(bench.names == ["vm.img"] && bench.bytes("vm.img") == bench.imageBytes)
    }

    @Test func `all of a new file is written with unmap=off`() throws {
        let bench = try TargetBench()
        let twin = try bench.twin { $0.unmap = false }
        defer { twin.close() }
        #expect(twin.firstPass == .everything)
    }

    @Test func `a read past the end of the twin gives zeroes`() throws {
        let bench = try TargetBench(bytes: 5000)
        let twin = try bench.twin()
        defer { twin.close() }
        try bench.copy(to: twin)
        var buffer = [UInt8](repeating: 0xFF, count: 8192)
        try buffer.withUnsafeMutableBytes { try twin.read(into: $0, at: 4096) }
        #expect(Data(buffer[..<904]) == bench.imageBytes[4096...])
        #expect(buffer[904...].allSatisfy { $0 == 0 })
    }

    @Test func `existing=fail refuses a file of that name and says what else there is`() throws {
        let bench = try TargetBench()
        let old = try bench.put("vm.img", Data([1, 2, 3]))
        let error = refusal { _ = try bench.twin() }
        #expect(error?.code == .exists && error?.message.contains("existing=replace") == true)
        #expect(bench.identity("vm.img") == old && bench.names == ["vm.img"])
    }

    @Test func `existing=replace keeps the old file whole until the new twin is published`() throws
    {
        let bench = try TargetBench()
        let old = try bench.put("vm.img", Data([1, 2, 3]))
        let twin = try bench.twin { $0.existing = .replace }
        defer { twin.close() }
        #expect(twin.firstPass == .data && bench.names == ["vm.img", "vm.img.partial"])
        try bench.copy(to: twin)
        #expect(bench.bytes("vm.img") == Data([1, 2, 3]) && bench.identity("vm.img") == old)
        try twin.publish()
        try twin.publish()
        #expect(bench.names == ["vm.img"] && bench.bytes("vm.img") == bench.imageBytes)
    }

    @Test func `existing=replace without an old file is a new one`() throws {
        let bench = try TargetBench()
        let twin = try bench.twin { $0.existing = .replace }
        defer { twin.close() }
        // Somebody makes one meanwhile: that one was never meant.
        try bench.put("vm.img", Data([1]))
        #expect(throws: Errno.fileExists) { try twin.publish() }
        #expect(bench.bytes("vm.img") == Data([1]))
    }

    @Test func `a file that took the place of the one to be replaced stays`() throws {
        let bench = try TargetBench()
        try bench.put("vm.img", Data([1]))
        let twin = try bench.twin { $0.existing = .replace }
        defer { twin.close() }
        try bench.put("new", Data([2]))
        try bench.path("new").replace(bench.path("vm.img"))
        #expect(throws: Errno.fileExists) { try twin.publish() }
        #expect(bench.bytes("vm.img") == Data([2]))
    }

    @Test(arguments: [JobParameters.Existing.replace, .reuse])
    func `a file that is locked, being written, a link, or the image itself is not taken`(
        existing: JobParameters.Existing
    ) throws {
        let bench = try TargetBench()
        let old = try bench.put("vm.img", Data([1, 2, 3]))
        let other = try FileDescriptor.openBacking(bench.path("vm.img"), .readWrite)
        #expect(refusal { _ = try bench.twin { $0.existing = existing } }?.code == .targetBusy)
        try other.lockExclusively()
        #expect(refusal { _ = try bench.twin { $0.existing = existing } }?.code == .targetBusy)
        try other.close()
        try FileManager.default.createSymbolicLink(
            atPath: bench.path("link").string, withDestinationPath: "vm.img")
        #expect(refusal { _ = try bench.twin("link") { $0.existing = existing } }?.code == .exists)
        try FileManager.default.linkItem(
            atPath: bench.image.string, toPath: bench.path("hard").string)
        #expect(
            refusal { _ = try bench.twin("hard") { $0.existing = existing } }?.code
                == .targetIsSource)
        #expect(bench.names == ["vm.img", "link", "hard"] && bench.identity("vm.img") == old)
        #expect(bench.bytes("vm.img") == Data([1, 2, 3]))
    }

    @Test(arguments: [JobParameters.Existing.replace, .reuse])
    func `the twin of another image is not taken`(existing: JobParameters.Existing) throws {
        let bench = try TargetBench()
        try bench.put("vm.img", Data([1]), image: "other.img", state: "consistent")
        try bench.put("odd", Data([1]), state: "consistent")
        for name in ["vm.img", "odd"] {
            let error = refusal { _ = try bench.twin(name) { $0.existing = existing } }
            #expect(error?.code == .exists)
            #expect(error?.message.contains("already the twin of another image") == true)
        }
        #expect(bench.names == ["vm.img", "odd"])
    }

    @Test func `existing=reuse takes the file over and changes only what differs`() throws {
        let bench = try TargetBench()
        var old = bench.imageBytes
        old[70_000] ^= 1
        old.append(contentsOf: [1, 2, 3])
        let file = try bench.put("vm.img", old, image: "vm.img", state: "consistent")
        let twin = try bench.twin { $0.existing = .reuse }
        defer { twin.close() }
        #expect(twin.firstPass == .compare && bench.names == ["vm.img.partial"])
        #expect(bench.identity("vm.img.partial") == file)
        #expect(try bench.attribute("vm.img.partial", "state") == "inconsistent")
        #expect(try differing(bench, twin) == 1)
        try bench.copy(to: twin)
        #expect(try differing(bench, twin) == 0)
        // Its end goes once the job has begun, not before: another member of the job may yet be
        // refused.
        #expect(bench.bytes("vm.img.partial")?.count == old.count)
        try twin.setSize(UInt64(bench.imageBytes.count))
        try twin.publish()
        let isEqual = bench.bytes("vm.img") == bench.imageBytes
        #expect(bench.identity("vm.img") == file && isEqual)
    }

    private func differing(_ bench: TargetBench, _ twin: Twin) throws -> Int {
        let data = [UInt8](bench.imageBytes)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: data.count, alignment: 8)
        defer { scratch.deallocate() }
        return try data.withUnsafeBytes {
            try twin.differences(from: $0, at: 0, using: scratch).reduce(0) { $0 + $1.count } / 4096
        }
    }

    @Test func `what a cancelled reuse left is gone on with`() throws {
        let bench = try TargetBench()
        let file = try bench.put("vm.img", Data([1, 2]))
        try bench.twin { $0.existing = .reuse }.close()
        #expect(bench.names == ["vm.img.partial"])
        let twin = try bench.twin { $0.existing = .reuse }
        defer { twin.close() }
        #expect(twin.firstPass == .compare && bench.identity("vm.img.partial") == file)
    }

    @Test func `existing=reuse without a file copies into a new one`() throws {
        let bench = try TargetBench()
        let twin = try bench.twin { $0.existing = .reuse }
        defer { twin.close() }
        #expect(twin.firstPass == .data)
    }

    @Test func `target-is-zero is looked at before it is believed`() throws {
        let bench = try TargetBench()
        var old = Data(count: 3 << 20)
        old[60_000] = 9
        let file = try bench.put("vm.img", old, state: nil)
        let error = refusal { _ = try bench.twin(targetIsZero: true) { $0.existing = .reuse } }
        #expect(error?.code == .badValue && error?.message.contains("offset 60000") == true)
        #expect(bench.bytes("vm.img") == old && bench.identity("vm.img") == file)
        #expect(try bench.attribute("vm.img", "state") == nil)
        old[60_000] = 0
        try bench.put("vm.img", old)
        let twin = try bench.twin(targetIsZero: true) { $0.existing = .reuse }
        defer { twin.close() }
        #expect(twin.firstPass == .data)
    }

    @Test func `a seed that the user vouches for keeps its name and is not copied to`() throws {
        let bench = try TargetBench()
        #expect(refusal { _ = try bench.twin("vm.img", asserted) }?.code == .notFound)
        try bench.put("vm.img", Data([1]))
        #expect(refusal { _ = try bench.twin("vm.img", asserted) }?.code == .badValue)
        #expect(bench.bytes("vm.img") == Data([1]))
        let file = try bench.put("vm.img", bench.imageBytes)
        let twin = try bench.twin("vm.img", asserted)
        defer { twin.close() }
        #expect(twin.firstPass == .nothing && bench.names == ["vm.img"])
        #expect(try bench.attribute("vm.img", "state") == "inconsistent")
        try twin.publish()
        #expect(bench.identity("vm.img") == file)
    }

    private func asserted(_ parameters: inout JobParameters) {
        parameters.sync = .none
        parameters.seed = .asserted
    }

    @Test func `a reflink seed is a clone, or is refused with nothing left behind`() throws {
        let bench = try TargetBench()
        func reflink(_ parameters: inout JobParameters) {
            parameters.sync = .none
            parameters.seed = .reflink
        }
        do {
            let twin = try bench.twin("a", reflink)
            defer { twin.close() }
            try twin.clone(from: bench.source)
            #expect(twin.firstPass == .nothing && bench.bytes("a.partial") == bench.imageBytes)
        } catch let error as CommandError {
            #expect(error.code == .notSupported && error.message.contains("sync=full"))
            #expect(bench.names == [])
        }
        // tmpfs is another filesystem than the image's, or one without clones.
        let other = try TargetBench("/dev/shm")
        let far = refusal { _ = try bench.twin(other.path("x").string, reflink) }
        #expect(far?.code == .badValue || far?.code == .notSupported)
        #expect(other.names == [])
    }

    @Test func `parameters that contradict each other are refused`() {
        func beginning(
            _ sync: JobParameters.Sync, _ seed: JobParameters.Seed?,
            _ existing: JobParameters.Existing
        ) -> CommandError.Code? {
            var parameters = JobParameters()
            (parameters.sync, parameters.seed, parameters.existing) = (sync, seed, existing)
            return refusal { _ = try TwinBeginning(parameters) }?.code
        }
        #expect(beginning(.none, nil, .replace) == .badValue)
        #expect(beginning(.none, .asserted, .replace) == .badValue)
        #expect(beginning(.none, .reflink, .reuse) == .badValue)
        #expect(beginning(.full, .asserted, .fail) == .badValue)
        #expect(beginning(.none, .asserted, .reuse) == nil)
        #expect(beginning(.none, .reflink, .replace) == nil)
    }

    @Test func `a home is written in place and is no twin any more once it serves`() throws {
        let bench = try TargetBench()
        try bench.put("vm.img", Data(count: 100_000))
        let path = bench.path("vm.img")
        let file = try FileDescriptor.openBacking(path, .readWrite)
        try file.lockExclusively()
        let mode = try file.status().mode
        let twin = Twin(home: file, path, firstPass: .compare, JobParameters())
        #expect(try bench.attribute("vm.img", "state") == "inconsistent")
        try bench.copy(to: twin)
        try twin.publish()
        #expect(bench.names == ["vm.img"] && bench.bytes("vm.img") == bench.imageBytes)
        #expect(try path.status().mode == mode && bench.attribute("vm.img", "image") == nil)
        twin.removeAnnotations()
        #expect(try bench.attribute("vm.img", "state") == nil)
        twin.close()
    }
}
