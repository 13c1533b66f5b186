import Foundation
import SystemPackage
import Testing

@testable import MirrorSystem

@Suite struct BulkAccessTests {
    /// A folder on the disk, where the kernel may have the means, and one in memory, where it
    /// refuses.
    @Test(arguments: ["/var/tmp", "/dev/shm"])
    func `bulk reads and writes move the same bytes as ordinary ones`(folder: String) throws {
        try withFile(in: folder) { file in
            let bulk = BulkAccess(file)
            let data = (0..<(1 << 20) + 777).map { _ in UInt8.random(in: 0...255) }
            for offset in [UInt64(0), 4096, 12345] {
                try data.withUnsafeBytes { try bulk.writeFully($0, at: offset) }
                #expect(try file.readBytes(at: offset, count: data.count) == data)
                #expect(try read(bulk, at: offset, count: data.count + 5000) == data)
                #expect(try read(bulk, at: offset + 100, count: 300) == Array(data[100..<400]))
            }
        }
    }

    /// Of a first pass and of a guest's writes, which go to the same file.
    @Test func `ordinary and bulk accesses see each other's bytes`() throws {
        try withFile(in: "/var/tmp") { file in
            let bulk = BulkAccess(file)
            for round in UInt8(1)...50 {
                let data = [UInt8](repeating: round, count: 128 << 10)
                try data.withUnsafeBytes { try bulk.writeFully($0, at: 0) }
                try [round &+ 100].withUnsafeBytes { try file.writeFully($0, at: 70_000) }
                var expected = data
                expected[70_000] = round &+ 100
                #expect(try read(bulk, at: 0, count: data.count) == expected)
            }
        }
    }

    @Test(arguments: [
        ("6.16.0", true), ("6.18.4-amd64", true), ("7.0", true), ("6.16-rc1", true),
        ("6.14.11", false), ("6.15.0-rc2", false), ("5.99.1", false), ("6", false), ("", false),
    ])
    func `only kernels in which bulk access is sound are asked for it`(
        release: String, isSound: Bool
    ) {
        #expect(Machine.canLeaveNoPages(release) == isSound)
    }

    private func read(_ bulk: BulkAccess, at offset: UInt64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let done = try bytes.withUnsafeMutableBytes { try bulk.readFully(into: $0, at: offset) }
        return Array(bytes[..<done])
    }

    private func withFile(in folder: String, _ body: (FileDescriptor) throws -> Void) throws {
        let path = FilePath("\(folder)/twinfs-bulk-\(UUID().uuidString)")
        let file = try FileDescriptor.open(
            path, .readWrite, options: [.create, .exclusiveCreate], permissions: .ownerReadWrite)
        defer { try? file.close() }
        try path.removeFile()
        try body(file)
    }
}
