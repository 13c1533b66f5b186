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

/// Against a real server: nbdkit, which `Tests/run` installs.
@Suite struct NBDTests {
    /// A server of its own, ended with the value.
    final class Server {
        let folder: String
        let arguments: [String]
        private var process = Process()

        static var newFolder: String {
            NSTemporaryDirectory() + "/twinfs-nbd-\(UInt32.random(in: 0...UInt32.max))"
        }

        init(_ arguments: [String], in folder: String = newFolder) throws {
            self.folder = folder
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            self.arguments = arguments
            try start()
        }

        var socket: String { folder + "/s" }
        var uri: String { "nbd+unix:///?socket=\(socket)" }

        func start() throws { process = try started(arguments) }

        /// Another server takes the address, while the first lives on. Ended by the caller.
        func overtake(_ arguments: [String]) throws -> Process { try started(arguments) }

        private func started(_ arguments: [String]) throws -> Process {
            // It writes its number once it listens.
            let ready = folder + "/pid"
            for old in [socket, ready] { try? FileManager.default.removeItem(atPath: old) }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["nbdkit", "-f", "-P", ready, "-U", socket] + arguments
            try process.run()
            while process.isRunning, !FileManager.default.fileExists(atPath: ready) {
                usleep(1000)
            }
            return process
        }

        func stop() { end(process) }

        /// At once: asked kindly, nbdkit waits for its clients.
        func end(_ process: Process) {
            kill(process.processIdentifier, SIGKILL)
            // Its scripts go with it.
            _ = FileManager.default.createFile(atPath: folder + "/killed", contents: nil)
            process.waitUntilExit()
        }

        func has(_ name: String) -> Bool {
            FileManager.default.fileExists(atPath: folder + "/" + name)
        }

        deinit {
            stop()
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    private func contents(_ twin: Twin, _ count: Int) throws -> Data {
        var bytes = [UInt8](repeating: 0xFF, count: count)
        try bytes.withUnsafeMutableBytes { try twin.read(into: $0, at: 0) }
        return Data(bytes)
    }

    @Test(arguments: [["memory", "1M"], ["--filter=nozero", "memory", "1M"]])
    func `an export is written, zeroed, read back and flushed`(arguments: [String]) throws {
        let server = try Server(arguments)
        let bench = try TargetBench(bytes: 300_001)
        let twin = try bench.twin(server.uri)
        defer { twin.close() }
        #expect(
            twin.firstPass == .everything && twin.hasFixedSize && twin.workingName == server.uri)
        try bench.copy(to: twin)
        try twin.zero(ByteRange(8192, 20_480))
        try twin.clear(ByteRange(1 << 20, 2 << 20))
        try twin.flush()
        try twin.publish()
        var wanted = bench.imageBytes
        wanted.replaceSubrange(8192..<20_480, with: Data(count: 12_288))
        #expect(try contents(twin, 300_001) == wanted)
        #expect(throws: Errno.noSpace) { try twin.setSize(2 << 20) }
        let reused = try bench.twin(server.uri) { $0.existing = .reuse }
        defer { reused.close() }
        #expect(reused.firstPass == .compare)
    }

    @Test func `an export that is too small, read-only, not zero or not there is refused`() throws {
        let bench = try TargetBench(bytes: 300_000)
        let small = try Server(["memory", "64K"])
        #expect(refusal { _ = try bench.twin(small.uri) }?.code == .targetTooSmall)
        let fixed = try Server(["-r", "memory", "1M"])
        #expect(refusal { _ = try bench.twin(fixed.uri) }?.code == .notWritable)
        let full = try Server(["data", "size=1M", "data=@4096 7"])
        let error = refusal { _ = try bench.twin(full.uri, targetIsZero: true) }
        #expect(error?.code == .badValue && error?.message.contains("offset 4096") == true)
        let clean = try Server(["memory", "1M"])
        let twin = try bench.twin(clean.uri, targetIsZero: true)
        #expect(twin.firstPass == .data)
        twin.close()
        clean.stop()
        let gone = refusal { _ = try bench.twin(clean.uri) }
        #expect(gone?.code == .notFound && gone?.message.contains(clean.uri) == true)
        #expect(refusal { _ = try bench.twin(full.uri) { $0.sync = .none } }?.code == .notSupported)
    }

    @Test func `a lost server is an error, then a failed flush, then written again`() throws {
        let server = try Server(["memory", "1M"])
        let bench = try TargetBench(bytes: 300_000)
        let twin = try bench.twin(server.uri)
        defer { twin.close() }
        try bench.copy(to: twin)
        server.stop()
        #expect(throws: Errno(rawValue: 108)) { try bench.copy(to: twin) }
        #expect(throws: Errno.self) { try bench.copy(to: twin) }
        // It comes back and has forgotten all that was not flushed.
        try server.start()
        #expect(try contents(twin, 300_000) == Data(count: 300_000))
        #expect(throws: Errno(rawValue: 108)) { try twin.flush() }
        try bench.copy(to: twin)
        try twin.flush()
        #expect(try contents(twin, 300_000) == bench.imageBytes)
    }

    @Test(arguments: [
        ["memory", "1M"], ["--filter=multi-conn", "memory", "1M", "multi-conn-mode=disable"],
    ])
    func `a server that was started anew between a write and a flush fails the flush`(
        arguments: [String]
    ) throws {
        let server = try Server(arguments)
        let bench = try TargetBench(bytes: 300_000)
        let twin = try bench.twin(server.uri)
        defer { twin.close() }
        try bench.copy(to: twin)
        try twin.flush()
        for isFirst in [true, false] {
            try bench.imageBytes.withUnsafeBytes { try twin.write($0, at: 0) }
            server.stop()
            try server.start()
            // Whoever comes first finds out that the connection is lost, and the next one makes it
            // anew.
            if !isFirst {
                #expect(throws: Errno(rawValue: 108)) { try contents(twin, 1000) }
                #expect(try contents(twin, 1000) == Data(count: 1000))
            }
            #expect(throws: Errno(rawValue: 108)) { try twin.flush() }
            try bench.copy(to: twin)
            try twin.flush()
            #expect(try contents(twin, 300_000) == bench.imageBytes)
        }
        // With nothing to lose, a lost server is no more than a call that failed.
        server.stop()
        try server.start()
        #expect(throws: Errno(rawValue: 108)) { try contents(twin, 1000) }
        #expect(try contents(twin, 1000) == Data(count: 1000))
        try twin.flush()
    }

    /// The write is with the server when the flush is, and may come after it.
    @Test func `a write that a flush overtook is not covered by it`() throws {
        let folder = Server.newFolder
        let server = try Server(
            [
                "eval", "get_size=echo 1M", "can_write=exit 0", "can_flush=exit 0",
                "can_multi_conn=exit 0", "thread_model=echo parallel", "pread=head -c $3 /dev/zero",
                "pwrite=touch \(folder)/writing; until test -e \(folder)/go; do sleep 0.02; done;"
                    + " cat >/dev/null",
                "flush=exit 0",
            ], in: folder)
        let bench = try TargetBench(bytes: 300_000)
        let twin = try bench.twin(server.uri)
        defer { twin.close() }
        let (failures, ended, bytes) = (Failures(), DispatchGroup(), bench.imageBytes)
        DispatchQueue.global().async(group: ended) {
            do {
                try bytes.withUnsafeBytes { try twin.write($0, at: 0) }
            } catch { failures.add() }
        }
        while !server.has("writing") { usleep(1000) }
        try twin.flush()
        _ = FileManager.default.createFile(atPath: folder + "/go", contents: nil)
        ended.wait()
        #expect(failures.count == 0)
        server.stop()
        try server.start()
        #expect(throws: Errno(rawValue: 108)) { try contents(twin, 1000) }
        #expect(throws: Never.self) { try contents(twin, 1000) }
        // The new server has nothing of the write.
        #expect(throws: Errno(rawValue: 108)) { try twin.flush() }
        try bench.copy(to: twin)
        try twin.flush()
    }

    /// A read keeps the connection that a write went through, and another server takes the address.
    /// A flush that went there would succeed, and speak for nothing of what was written.
    @Test func `a flush does not go to a server that the writes did not go to`() throws {
        let folder = Server.newFolder
        let last = "until test -e \(folder)/killed; do sleep 0.02; done"
        let server = try Server(
            [
                "eval", "get_size=echo 1M", "can_write=exit 0", "can_flush=exit 0",
                "can_multi_conn=exit 0", "thread_model=echo parallel", "pwrite=cat >/dev/null",
                "pread=touch \(folder)/reading; \(last)", "flush=touch \(folder)/flushing; \(last)",
            ], in: folder)
        let bench = try TargetBench(bytes: 300_000)
        let twin = try bench.twin(server.uri)
        defer { twin.close() }
        try bench.imageBytes.withUnsafeBytes { try twin.write($0, at: 0) }
        let (failures, ended) = (Failures(), DispatchGroup())
        let threads = DispatchQueue(label: "test", attributes: .concurrent)
        threads.async(group: ended) {
            do { _ = try self.contents(twin, 1000) } catch { failures.add() }
        }
        while !server.has("reading") { usleep(1000) }
        let other = try server.overtake(["memory", "1M"])
        defer { server.end(other) }
        let flushed = DispatchSemaphore(value: 0)
        threads.async(group: ended) {
            do { try twin.flush() } catch { failures.add() }
            flushed.signal()
        }
        // Both servers live. One of them is asked.
        while !server.has("flushing"), flushed.wait(timeout: .now()) == .timedOut { usleep(1000) }
        server.stop()
        ended.wait()
        #expect(failures.count == 2)
        try bench.copy(to: twin)
        try twin.flush()
        #expect(try contents(twin, 300_000) == bench.imageBytes)
    }

    @Test func `several threads share the connections to an export`() throws {
        let server = try Server(["memory", "1M"])
        let bench = try TargetBench(bytes: 300_000)
        let twin = try bench.twin(server.uri)
        defer { twin.close() }
        let failures = Failures()
        DispatchQueue.concurrentPerform(iterations: 16) { index in
            let bytes = [UInt8](repeating: UInt8(index + 1), count: 65536)
            do {
                try bytes.withUnsafeBytes { try twin.write($0, at: UInt64(index) << 16) }
            } catch {
                failures.add()
            }
        }
        #expect(failures.count == 0)
        let all = try contents(twin, 1 << 20)
        #expect(
            (0..<16).allSatisfy { index in
                all[index << 16..<(index + 1) << 16].allSatisfy { $0 == UInt8(index + 1) }
            })
    }
}

private final class Failures: @unchecked Sendable {
    private let lock = NSLock()
    private var number = 0
    func add() { lock.withLock { number += 1 } }
    var count: Int { lock.withLock { number } }
}
