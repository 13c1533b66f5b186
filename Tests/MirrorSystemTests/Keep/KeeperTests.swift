import MirrorSystem
import SystemPackage
import Testing

@Suite("A worker and its keeper process")
struct KeeperTests {
    @Test("every message of worker and keeper is read as it was written")
    func messages() {
        var life = WorkerLife()
        (life.predecessors, life.deathsInARow, life.keeper) = (7, 3, 811)
        life.lastEnd = "was killed by SIGSEGV"
        let messages: [KeeperMessage] = [
            .keep("open-12"), .drop("x"), .ready, .failed(code: 41, "no"), .pong("2 jobs"),
            .goodbye(.unmounted), .goodbye(.restart), .adopt(worker: 12, predecessors: -1),
            .life(life), .endOfList, .ping, .welcome(keeper: 5),
        ]
        for message in messages { #expect(KeeperMessage(message.bytes) == message) }
        #expect(Set(messages.map { $0.bytes[0] }).count == messages.count - 1)
    }

    @Test("a message that is cut short or not known is passed over")
    func damage() {
        let bytes = KeeperMessage.goodbye(.restart).bytes
        for count in bytes.indices { #expect(KeeperMessage(Array(bytes[..<count])) == nil) }
        for kind in UInt8.min...UInt8.max where !(1...7).contains(kind) && !(65...68).contains(kind)
        {
            #expect(KeeperMessage([kind] + bytes.dropFirst()) == nil)
        }
        #expect(KeeperMessage([6, 9] + bytes.dropFirst(2)) == nil)
    }

    /// A worker whose keeper is this test, and what it was given.
    private func start(_ files: [String: FileDescriptor]) throws -> (ProcessKeeper, PacketSocket) {
        let (mine, its) = try PacketSocket.pair()
        var life = WorkerLife()
        life.predecessors = 2
        try mine.send(KeeperMessage.life(life).bytes)
        for (name, file) in files {
            try mine.send(KeeperMessage.keep(name).bytes, passing: file)
        }
        try mine.send(KeeperMessage.endOfList.bytes)
        return (try ProcessKeeper(its), mine)
    }

    @Test("a worker finds what its predecessors have kept until it is dropped, which closes it")
    func inherits() throws {
        let memory = try SharedMemory(count: 4096)
        memory.bytes[5] = 42
        let (keeper, socket) = try start(["session": memory.descriptor])
        defer { socket.close() }
        #expect(keeper.predecessors == 2 && keeper.inheritedNames == ["session"])
        #expect(keeper.inherited("other") == nil)
        keeper.keep(memory.descriptor, as: "session")
        let again = try keeper.memory("session", count: 4096)
        #expect(again.isInherited && again.memory.bytes[5] == 42)
        keeper.drop("session")
        #expect(keeper.inherited("session") == nil && keeper.inheritedNames.isEmpty)
    }

    @Test("a file that was dropped is open nowhere in the worker")
    func closesDropped() throws {
        let (reader, writer) = try FileDescriptor.pipe()
        defer { try? reader.close() }
        let (keeper, socket) = try start(["open-1": writer])
        try writer.close()
        defer { socket.close() }
        keeper.drop("open-1")
        // The last writer is gone.
        #expect(Polling.wait([(reader, false)], milliseconds: 0)[0].readable)
    }

    @Test("a worker's last messages arrive although it dies with one unread")
    func lastMessages() throws {
        let (mine, its) = try PacketSocket.pair()
        defer { mine.close() }
        try mine.send(KeeperMessage.ping.bytes)
        try its.send(KeeperMessage.keep("open-3").bytes, passing: its.descriptor)
        try its.send(KeeperMessage.goodbye(.restart).bytes)
        its.close()
        let first = try #require(try mine.receive(waits: false))
        try first.passed?.close()
        let second = try #require(try mine.receive(waits: false))
        #expect(KeeperMessage(first.bytes) == .keep("open-3"))
        #expect(KeeperMessage(second.bytes) == .goodbye(.restart))
        #expect(try mine.receive(waits: false) == nil)
    }

    @Test("what a worker keeps waits for the keeper in order, also when the worker is gone")
    func keeps() throws {
        let memory = try SharedMemory(count: 4096)
        let (keeper, socket) = try start([:])
        defer { socket.close() }
        for number in 0..<200 { keeper.keep(memory.descriptor, as: "open-\(number)") }
        keeper.drop("open-7")
        keeper.say(.goodbye(.restart))
        for number in 0..<200 {
            let packet = try #require(try socket.receive(waits: false))
            #expect(KeeperMessage(packet.bytes) == .keep("open-\(number)"))
            let file = try #require(packet.passed)
            #expect(try file.status().identity == memory.descriptor.status().identity)
            try file.close()
        }
        let rest = try (0..<2).map { _ in
            KeeperMessage(try #require(try socket.receive(waits: false)).bytes)
        }
        #expect(rest == [.drop("open-7"), .goodbye(.restart)])
    }

    @Test("a process that has ended is told with how it has ended")
    func ends() throws {
        for (script, end) in [
            ("exit 3", ChildProcess.End.exited(3)), ("kill -SEGV $$", .signalled(11)),
        ] {
            let child = try ChildProcess("sh", ["sh", "-c", script].map { Array($0.utf8) })
            let handle = try ProcessHandle(child.id)
            defer { handle.close() }
            #expect(Polling.wait([(handle.descriptor, false)], milliseconds: nil)[0].readable)
            #expect(handle.reap() == end)
        }
        #expect(ChildProcess.End.signalled(11).description == "was killed by SIGSEGV")
    }
}
