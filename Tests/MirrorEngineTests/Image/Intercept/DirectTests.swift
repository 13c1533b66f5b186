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

/// Handles of guests that opened their image for direct I/O. On a filesystem without it all of this
/// holds too.
@Suite struct DirectTests {
    #if arch(arm64)
        static let flags = O_RDWR | 0o200_000
    #else
        static let flags = O_RDWR | 0o40_000
    #endif

    @Test func `direct and buffered writes of a handle see each other`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 16)
        let handle = try bench.open("vm.img", Self.flags)
        _ = try #require(handle.path.direct)
        let page = PageMemory(count: 4096)
        for (number, direct) in [true, false, true].enumerated() {
            page.bytes.copyBytes(from: [UInt8](repeating: UInt8(number + 1), count: 4096))
            let path = direct ? handle.path : DataPath(buffered: handle.descriptor)
            #expect(try path.writeSome(UnsafeRawBufferPointer(page.bytes), at: 8192) == 4096)
            #expect(handle.descriptor.bytes(at: 8192, count: 4096) == Array(page.bytes))
            let back = PageMemory(count: 4096)
            #expect(try handle.path.readFully(into: back.bytes, at: 8192) == 4096)
            #expect(Array(back.bytes) == Array(page.bytes))
        }
    }

    @Test func `a direct access that the filesystem refuses is done all the same`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 16)
        let handle = try bench.open("vm.img", Self.flags)
        let page = PageMemory(count: 8192)
        let odd = UnsafeMutableRawBufferPointer(rebasing: page.bytes[1..<1000])
        odd.copyBytes(from: [UInt8](repeating: 7, count: 999))
        #expect(try handle.path.writeSome(UnsafeRawBufferPointer(odd), at: 333) == 999)
        odd.initializeMemory(as: UInt8.self, repeating: 0)
        #expect(try handle.path.readFully(into: odd, at: 333) == 999)
        #expect(Array(odd) == [UInt8](repeating: 7, count: 999))
    }

    @Test func `a direct read ends where the file does`() throws {
        let bench = try Bench()
        let end = 10_001
        try bench.makeFile("vm.img", bytes: end)
        let handle = try bench.open("vm.img", Self.flags)
        let page = PageMemory(count: 8192)
        for offset in [0, 4096, 8192, 12288] {
            let count = try handle.path.readFully(into: page.bytes, at: UInt64(offset))
            #expect(count == max(0, min(8192, end - offset)))
            let expected = handle.descriptor.bytes(at: UInt64(offset), count: 8192)
            #expect(Array(page.bytes.prefix(count)) == expected)
        }
    }

    @Test func `both descriptors of a handle move with the image, and back`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 1 << 16)
        let handle = try bench.open("vm.img", Self.flags)
        let direct = try #require(handle.path.direct)
        let home = try handle.descriptor.status().identity
        let move = try bench.twin(handle, "vm.img")
        let twin = try move.descriptor.status().identity
        try bench.switchOver([move])
        #expect(try handle.descriptor.status().identity == twin)
        #expect(try direct.status().identity == twin)
        try bench.switchOver([try bench.home(handle, "vm.img")])
        #expect(try handle.descriptor.status().identity == home)
        #expect(try direct.status().identity == home)
    }

    @Test func `a closed handle leaves no descriptor`() throws {
        let bench = try Bench()
        try bench.makeFile("vm.img", bytes: 4096)
        let before = descriptors(below: bench.source)
        do { _ = try bench.open("vm.img", Self.flags) }
        #expect(descriptors(below: bench.source) == before)
    }
}
