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

@Suite struct ServedImagesTests {
    let bench: Bench
    let own: FilePath
    let twin: FilePath

    init() throws {
        bench = try Bench()
        own = bench.source.appending("vm.img")
        twin = bench.target.appending("vm.img")
        try bench.makeFile("vm.img", bytes: 50_000)
    }

    @Test func `every open handle goes on on the twin, under the same number and with its flags`()
        throws
    {
        let before = bench.bytes(own)
        let handles = try [O_RDWR, O_RDWR | O_DSYNC, O_WRONLY | O_SYNC, O_RDONLY].map {
            try bench.open("vm.img", $0)
        }
        let follower = try bench.engine.openBacking(of: "vm.img")
        let late = try bench.engine.openBacking(of: "vm.img")
        try bench.engine.follow(handles[0].image, follower.descriptor)
        let flags = handles.map { fcntl($0.descriptor.rawValue, F_GETFL) }
        try bench.switchOver([bench.twin(handles[0], "vm.img")])
        #expect(handles.map { fcntl($0.descriptor.rawValue, F_GETFL) } == flags)
        for (index, handle) in handles.enumerated() where handle.flags.writes {
            handle.guest.write([UInt8(index), 7, 7], at: UInt64(index) * 1000)
        }
        #expect(bench.bytes(own) == before)
        let now = bench.bytes(twin)
        #expect(now[0..<3] == [0, 7, 7] && now[1000..<1003] == [1, 7, 7])
        #expect(now[2000..<2003] == [2, 7, 7] && now[3..<1000] == before[3..<1000])
        #expect(handles[3].content == now)
        #expect(follower.descriptor.bytes(at: 0, count: 1 << 20) == now)
        // Opened before the switch-over, and told of after it.
        #expect(late.descriptor.bytes(at: 0, count: 1 << 20) == before)
        try bench.engine.follow(handles[0].image, late.descriptor)
        #expect(late.descriptor.bytes(at: 0, count: 1 << 20) == now)
        try bench.switchOver([bench.home(handles[0], "vm.img")])
        handles[0].guest.write([8], at: 0)
        for descriptor in [follower.descriptor, late.descriptor] {
            #expect(descriptor.bytes(at: 0, count: 1) == [8])
            handles[0].image.unfollow(descriptor)
            try descriptor.close()
        }
        #expect(bench.bytes(own)[0] == 8 && bench.bytes(twin) == now)
    }

    @Test func `an open after the switch-over gets the twin`() throws {
        let handles = try [bench.open("vm.img")]
        try bench.switchOver([bench.twin(handles[0], "vm.img")])
        handles[0].guest.write([4], at: 0)
        let now = bench.bytes(twin)
        #expect(try bench.open("vm.img").content == now)
        #expect(bench.engine.servingPath(of: handles[0].image) == twin)
    }

    @Test func `a switch-over leaves no descriptor behind, and the lock goes with the image`()
        throws
    {
        var handle: TestHandle? = try bench.open("vm.img")
        let old = descriptors(below: bench.source)
        try bench.switchOver([bench.twin(handle!, "vm.img")])
        bench.engine.serving.finishSaving()
        // The twin: handle, lock, backing. The source: its directory, and the pin on the old file.
        #expect(descriptors(below: bench.target) == 3)
        #expect(descriptors(below: bench.source) == old - 1)
        let other = try FileDescriptor.openBacking(twin, .readWrite)
        #expect(throws: Errno.resourceTemporarilyUnavailable) { try other.lockExclusively() }
        let former = try FileDescriptor.openBacking(own, .readWrite)
        try former.lockExclusively()
        handle = nil
        try other.lockExclusively()
        try former.close()
        try other.close()
        #expect(descriptors(below: bench.target) == 1)
    }

    @Test func `the next mount serves the twin, with its size and the own file's inode`() throws {
        let handle = try bench.open("vm.img")
        try bench.switchOver([bench.twin(handle, "vm.img")])
        handle.guest.write([1, 2, 3], at: 70_000)
        let next = bench.remounted()
        #expect(next.serving.warnings.isEmpty)
        let served = ServedReport(image: "vm.img", twin: twin.string, generation: 1)
        #expect(next.report().served == [served])
        #expect(
            StatusText.render(next.report())
                .contains("vm.img  is served from \(twin)  (generation 1)"))
        let node = try FileDescriptor.openNode(at: own)
        defer { try? node.close() }
        let attributes = try node.attributes()
        let backing = try #require(next.serving.backing(of: attributes.identity))
        let shown = backing.attributes(over: attributes)
        #expect(shown.size == 70_003 && shown.identity == attributes.identity)
        #expect(attributes.size == 50_000)
        let opened = try next.openBacking(of: "vm.img")
        #expect(opened.twin == twin && opened.own.identity == attributes.identity)
        #expect(opened.descriptor.bytes(at: 70_000, count: 9) == [1, 2, 3])
        try opened.descriptor.close()
    }

    @Test func `an image is switched there and back, and on to a third place`() throws {
        let handle = try bench.open("vm.img")
        try bench.switchOver([bench.twin(handle, "vm.img")])
        handle.guest.write([1], at: 0)
        #expect(try bench.mark(own)?.hasSuffix("1 \(twin)") == true)
        #expect(try bench.mark(twin, "serving")?.hasSuffix(" 1") == true)

        try bench.switchOver([bench.twin(handle, "third.img")])
        let third = bench.target.appending("third.img")
        handle.guest.write([2], at: 1)
        #expect(bench.bytes(third)[..<2] == [1, 2] && bench.bytes(twin)[0] == 1)
        #expect(try bench.mark(own) == bench.mark(twin))
        #expect(try bench.mark(own)?.hasSuffix("2 \(third)") == true)
        #expect(try bench.open("vm.img", O_RDONLY, in: bench.remounted()).content == handle.content)

        try bench.switchOver([bench.home(handle, "vm.img")])
        handle.guest.write([3], at: 2)
        #expect(bench.bytes(own)[..<3] == [1, 2, 3] && bench.bytes(third)[..<2] == [1, 2])
        #expect(try bench.mark(own) == nil)
        #expect(try bench.mark(third)?.hasSuffix("3 \(own)") == true)
        #expect(bench.engine.servingPath(of: handle.image) == nil)
        #expect(try bench.engine.home(of: handle.image, named: own) == nil)
        #expect(try bench.open("vm.img", O_RDONLY, in: bench.remounted()).content == handle.content)
        // And out again, to a twin that was superseded.
        try bench.switchOver([bench.twin(handle, "vm.img")])
        #expect(try bench.mark(twin) == nil)
        #expect(try bench.open("vm.img", O_RDONLY, in: bench.remounted()).content == handle.content)
    }

    @Test func `a group moves as a whole or not at all`() throws {
        try bench.makeFile("b.img", bytes: 1000)
        let handles = try ["vm.img", "b.img"].map { try bench.open($0) }
        let good = try bench.twin(handles[0], "vm.img")
        let directory = try FileDescriptor.openBacking(bench.target, .readOnly)
        let bad = Move(
            image: handles[1].image, twin: bench.target, descriptor: directory, length: 0)
        #expect(throws: CommandError.self) { try bench.switchOver([good, bad]) }
        #expect(try bench.mark(own) == nil && bench.mark(twin, "serving") == nil)
        #expect(bench.bytes(bench.record).isEmpty)
        handles[0].guest.write([9], at: 0)
        #expect(bench.bytes(own)[0] == 9)
        let moves = try [bench.twin(handles[0], "vm.img"), bench.twin(handles[1], "b.img")]
        try bench.switchOver(moves)
        for handle in handles { handle.guest.write([5], at: 0) }
        #expect(bench.bytes(twin)[0] == 5)
        #expect(bench.bytes(bench.target.appending("b.img"))[0] == 5)
    }

    @Test func `nothing is switched without a state directory that can be written`() throws {
        let blocked = bench.remounted(state: "/proc/twinfs-state/a")
        let handle = try bench.open("vm.img", in: blocked)
        let move = try bench.twin(handle, "vm.img")
        let error = try #require(throws: CommandError.self) { try blocked.switchOver([move]) }
        #expect(error.code == .notWritable && error.message.contains("nothing was switched"))
        handle.guest.write([9], at: 0)
        #expect(bench.bytes(own)[0] == 9 && bench.bytes(twin)[0] != 9)
        #expect(try bench.mark(own) == nil && bench.mark(twin, "serving") == nil)
        #expect(blocked.servingPath(of: handle.image) == nil)
        try move.descriptor.close()

        var configuration = blocked.configuration
        configuration.stateDirectory = nil
        let none = Engine(
            configuration: configuration, source: bench.engine.source, log: bench.engine.log)
        let other = try bench.open("vm.img", O_RDONLY, in: none)
        let again = try bench.twin(other, "vm.img")
        let refusal = try #require(throws: CommandError.self) { try none.switchOver([again]) }
        #expect(refusal.code == .badState && refusal.message.contains("statedir="))
        try again.descriptor.close()
    }

    @Test func `the state directory and the record are for their owner alone`() throws {
        let handle = try bench.open("vm.img")
        try bench.switchOver([bench.twin(handle, "vm.img")])
        #expect(try bench.state.status().mode == 0o700)
        #expect(try bench.record.status().mode == 0o600)
    }
}
