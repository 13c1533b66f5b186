import Foundation
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// Large reads by way of a pipe, as the request threads do them.
@Suite struct PagePipeTests {
    let bench: Bench
    let handle: TestHandle
    let pipe: PagePipe
    let head: [UInt8] = [1, 2, 3, 4, 5]

    init() throws {
        bench = try Bench()
        try bench.makeFile("vm.img", bytes: 100_000)
        handle = try bench.open("vm.img")
        pipe = try PagePipe(1 << 20)
    }

    private func begins() -> Bool { head.withUnsafeBytes { pipe.begin(with: $0) } }

    private func throwAway() {
        let scratch = PageMemory(count: 4096)
        pipe.empty(into: scratch.bytes)
    }

    /// What a receiver gets that takes the head and `count` bytes.
    private func received(_ count: Int) throws -> [UInt8] {
        try bench.makeFile("receiver", bytes: 0)
        let receiver = try bench.open("receiver")
        #expect(pipe.send(head.count + count, to: receiver.descriptor) == nil)
        return receiver.content
    }

    @Test(arguments: [(0, 65_536), (4096, 32_768), (1, 70_000), (4095, 8194), (34_464, 65_536)])
    func `the receiver gets the head and the bytes`(offset: Int, count: Int) throws {
        for _ in 1...3 {
            #expect(begins())
            let isWhole = handle.image.readPages(
                count, into: pipe, at: UInt64(offset), through: handle.path)
            #expect(isWhole)
            let isSame = try received(count) == head + handle.content[offset..<offset + count]
            #expect(isSame)
        }
    }

    @Test(arguments: [(99_999, 2), (34_465, 65_536), (100_000, 4096), (1 << 40, 4096)])
    func `what is not all there is thrown away, and the next read is whole`(
        offset: Int, count: Int
    ) throws {
        #expect(begins())
        let isWhole = handle.image.readPages(
            count, into: pipe, at: UInt64(offset), through: handle.path)
        #expect(!isWhole)
        throwAway()
        #expect(begins() && pipe.add(8192, of: handle.descriptor, at: 512))
        let isSame = try received(8192) == head + handle.content[512..<8704]
        #expect(isSame)
    }

    @Test func `what cannot be read, or sent, says so`() throws {
        let writer = try bench.open("vm.img", O_WRONLY)
        #expect(begins() && !pipe.add(4096, of: writer.descriptor, at: 0))
        throwAway()
        #expect(begins() && pipe.add(4096, of: handle.descriptor, at: 0))
        let reader = try bench.open("vm.img", O_RDONLY)
        #expect(pipe.send(head.count + 4096, to: reader.descriptor) == .badFileDescriptor)
        throwAway()
        #expect(pipe.send(1, to: handle.descriptor) == .resourceTemporarilyUnavailable)
        #expect(pipe.isUsable)
    }

    @Test func `room is counted in pages, one of them for the head`() throws {
        let small = try PagePipe(4 * 4096)
        #expect(small.hasRoom(forHeadAnd: 3 * 4096, at: 0))
        #expect(small.hasRoom(forHeadAnd: 3 * 4096 - 1, at: 1))
        #expect(!small.hasRoom(forHeadAnd: 3 * 4096, at: 1))
        #expect(!small.hasRoom(forHeadAnd: 3 * 4096 + 1, at: 0))
        #expect(head.withUnsafeBytes { small.begin(with: $0) })
        #expect(small.add(3 * 4096, of: handle.descriptor, at: 0))
        #expect(!small.add(1, of: handle.descriptor, at: 0))
    }

    @Test func `a handle that reads past the page cache does not use it`() throws {
        let direct = try bench.open("vm.img", DirectTests.flags)
        let isDirect = try #require(direct.path.direct).isDirect
        let isWhole = direct.image.readPages(65_536, into: pipe, at: 0, through: direct.path)
        #expect(isWhole == !isDirect)
    }
}
