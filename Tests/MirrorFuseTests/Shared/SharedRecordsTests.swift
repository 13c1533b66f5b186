import Dispatch
import MirrorSystem
import SystemPackage
import Testing

@testable import MirrorEngine
@testable import MirrorFuse
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// Serialized: the hook that stands for a kill is one for the process.
@Suite("Records that a successor goes on with", .serialized)
struct SharedRecordsTests {
    /// Runs `change` and looks at the memory after each of its stores as a successor would.
    private func atEveryStore(_ look: @escaping () -> Void, _ change: () throws -> Void) rethrows {
        SharedWord.afterStore = look
        defer { SharedWord.afterStore = nil }
        try change()
    }

    /// Never unmapped: what points into it does not keep it.
    private func session(_ keeper: LocalKeeper) throws -> SessionMemory {
        let memory = try SessionMemory(keeper)
        _ = Unmanaged.passRetained(memory)
        return memory
    }

    private func entry(_ number: UInt64, _ parent: UInt64, _ name: String) -> NodeRecords.Entry {
        NodeRecords.Entry(
            number: number, identity: FileIdentity(device: 7, inode: number * 3), lookups: number,
            parent: parent, name: Array(name.utf8))
    }

    @Test("a successor finds the records, a first worker finds none")
    func successor() throws {
        let keeper = LocalKeeper()
        let first = try session(keeper)
        #expect(!first.isInherited)
        #expect(first.initRequest.isEmpty)
        [UInt8](1...104).withUnsafeBytes { first.keep(initRequest: $0) }
        first.nodes.write(entry(5, 1, "disk.img"), at: 3)
        let second = try session(keeper.successor())
        #expect(second.isInherited)
        #expect(second.initRequest == [UInt8](1...104))
        #expect(second.nodes.all.map(\.entry) == [entry(5, 1, "disk.img")])
        #expect(second.nodes.all.first?.slot == 3)
    }

    @Test("memory of another layout is refused")
    func layout() throws {
        let keeper = LocalKeeper()
        let memory = try keeper.memory("session", count: 1 << 20).memory
        memory.bytes.storeBytes(of: 1, as: UInt64.self)
        #expect(throws: Errno.invalidArgument) { try session(keeper.successor()) }
    }

    @Test("a kill at any store of a node's record leaves the old record, the new one, or none")
    func nodeKills() throws {
        let keeper = LocalKeeper()
        let memory = try session(keeper)
        let other = try session(keeper.successor())
        let (old, new) = (entry(9, 1, "a name"), entry(12, 4, "another that is longer"))
        memory.nodes.write(entry(2, 1, "neighbour"), at: 0)
        var seen: [[NodeRecords.Entry]] = []
        let look = { seen.append(other.nodes.all.map(\.entry).filter { $0.number != 2 }) }
        atEveryStore(look) { memory.nodes.write(old, at: 1) }
        #expect(seen.allSatisfy { $0 == [] || $0 == [old] } && seen.last == [old])
        var renamed = old
        (renamed.parent, renamed.name) = (4, Array("x".utf8))
        seen = []
        atEveryStore(look) { memory.nodes.setName(renamed.parent, renamed.name, at: 1) }
        #expect(seen.allSatisfy { $0 == [old] || $0 == [renamed] } && seen.last == [renamed])
        seen = []
        atEveryStore(look) {
            memory.nodes.clear(1)
            memory.nodes.write(new, at: 1)
        }
        #expect(seen.allSatisfy { $0 == [] || $0 == [new] } && seen.last == [new])
    }

    @Test("names of every length come back, one that is too long as none")
    func names() throws {
        let memory = try session(LocalKeeper())
        for count in [0, 1, 7, 8, 254, 255] {
            let name = [UInt8]((0..<count).map { UInt8(truncatingIfNeeded: $0 + 1) })
            memory.nodes.setName(3, name, at: 0)
            memory.nodes.write(
                NodeRecords.Entry(
                    number: 4, identity: FileIdentity(device: 1, inode: 2), lookups: 1, parent: 3,
                    name: name), at: 0)
            let isSame = memory.nodes.entry(at: 0)?.name == name
            #expect(isSame, "\(count) bytes")
        }
        memory.nodes.setName(3, [UInt8](repeating: 65, count: 256), at: 0)
        #expect(memory.nodes.entry(at: 0)?.name == [])
    }

    private final class Thing: Sendable {}

    @Test("a handle is in the journal before its record is valid, whenever the kill comes")
    func handleKills() throws {
        let keeper = LocalKeeper()
        let memory = try session(keeper)
        let table = HandleTable<Thing>(memory.files)
        let slot = memory.journal.begin(unique: 42, opcode: 14, node: 5)!
        var isOrdered = true
        try atEveryStore {
            isOrdered = isOrdered && memory.files.all.allSatisfy { $0.number == slot.handle }
        } _: {
            _ = try table.insert(Thing(), node: 5, flags: 2, backing: 3, slot)
        }
        #expect(isOrdered)
        let entry = HandleRecords.Entry(number: slot.handle, node: 5, flags: 2, backing: 3)
        let kept = try session(keeper.successor()).files.all
        #expect(kept == [entry])
    }

    @Test("a RELEASE that comes twice takes nobody else's handle")
    func releaseTwice() throws {
        let keeper = LocalKeeper()
        let table = HandleTable<Thing>(try session(keeper).files)
        let first = try table.insert(Thing(), node: 2, nil)
        #expect(table.remove(first) != nil)
        let second = try table.insert(Thing(), node: 2, nil)
        #expect(HandleRecords.place(first) == HandleRecords.place(second) && first != second)
        #expect(table.remove(first) == nil)
        #expect(table.holds(second))
        let next = HandleTable<Thing>(try session(keeper.successor()).files)
        let third = try next.insert(Thing(), node: 2, nil)
        #expect(HandleRecords.place(third) != HandleRecords.place(second) && third > second)
        #expect(throws: Errno.staleNFSFileHandle) { try next.value(second) }
        #expect(next.remove(second) == nil)
        #expect(!next.records.isValid(second))
    }

    @Test("a request that comes again finds its slot and what was noted there")
    func resent() throws {
        let keeper = LocalKeeper()
        let memory = try session(keeper)
        let before = JournalEntry.Before(
            subject: FileIdentity(device: 1, inode: 20), replaced: nil, isLastName: true)
        let slot = memory.journal.begin(unique: 100, opcode: 10, node: 7)!
        #expect(!slot.isRepeat && slot.stage == .taken)
        slot.begin(before)
        slot.note(node: 11)
        slot.note(node: 12)
        let next = try session(keeper.successor()).journal
        let again = try #require(next.begin(unique: 100 | 1 << 63, opcode: 10, node: 7))
        #expect(again.isRepeat && again.stage == .begun && again.before == before)
        #expect([again.takeNode(), again.takeNode(), again.takeNode()] == [12, 11, nil])
        again.note(errno: 16, Array("error bad-state: no".utf8))
        #expect(again.result?.errno == 16)
        #expect(again.result?.text == Array("error bad-state: no".utf8))
        again.free()
        #expect(next.isIdle)
        let unknown = try #require(next.begin(unique: 102 | 1 << 63, opcode: 10, node: 7))
        #expect(!unknown.isRepeat)
    }

    @Test("a slot that is freed says that it was answered until nothing is noted in it")
    func freeKills() throws {
        let memory = try session(LocalKeeper())
        let slot = memory.journal.begin(unique: 6, opcode: 1, node: 1)!
        slot.begin(.init(subject: FileIdentity(device: 1, inode: 2)))
        slot.note(handle: 77)
        slot.note(node: 3)
        slot.reached(.answering)
        var isSafe = true
        atEveryStore {
            isSafe = isSafe && (slot.stage == .answering || slot.handle == 0 && slot.result == nil)
        } _: {
            slot.free()
        }
        #expect(isSafe && memory.journal.isIdle)
    }

    @Test("slots of the journal are bounded, and a predecessor's are known")
    func bounded() throws {
        let keeper = LocalKeeper()
        let memory = try session(keeper)
        for unique in 1...UInt64(RequestJournal.count) {
            #expect(memory.journal.begin(unique: unique * 2, opcode: 1, node: 1) != nil)
        }
        #expect(memory.journal.begin(unique: 9_998, opcode: 1, node: 1) == nil)
        #expect(memory.journal.abandoned.isEmpty)
        let next = try session(keeper.successor()).journal
        _ = next.begin(unique: 8 | 1 << 63, opcode: 1, node: 1)
        #expect(next.abandoned.count == RequestJournal.count - 1)
    }

    @Test("a command's answer is read on where the predecessor stopped")
    func answers() throws {
        let keeper = LocalKeeper()
        let memory = try session(keeper)
        let table = HandleTable<Thing>(memory.controlFiles)
        let handle = try table.insert(Thing(), node: 1, nil)
        memory.controlFiles.setAnswer(Array("ok done\n".utf8), of: handle)
        memory.controlFiles.setRead(3, of: handle)
        let next = try session(keeper.successor()).controlFiles
        #expect(next.answer(of: handle).text == Array("ok done\n".utf8))
        #expect(next.answer(of: handle).read == 3)
    }

    @Test("two opens at once are both there for a successor")
    func opensAtOnce() throws {
        let memory = try session(LocalKeeper())
        let table = HandleTable<Thing>(memory.files)
        var lost = 0
        for round in 1...20_000 {
            DispatchQueue.concurrentPerform(iterations: 2) { _ in
                _ = try? table.insert(Thing(), node: 1, nil)
            }
            if memory.files.usedCount != 2 * round { lost += 1 }
        }
        #expect(lost == 0)
    }

    @Test("what is noted to be used only grows")
    func raises() throws {
        let memory = try session(LocalKeeper())
        let word = memory.lastNode
        word.raise(to: 7)
        word.raise(to: 6)
        #expect(word.value == 7)
    }

    @Test("a request is counted that comes again and again, until a worker outlives it")
    func repeats() throws {
        var keeper = LocalKeeper()
        let first = try session(keeper)
        _ = first.journal.begin(unique: 100, opcode: 10, node: 7)
        var counts: [UInt64] = []
        for death in 1...7 {
            keeper = keeper.successor()
            let memory = try session(keeper)
            let slot = try #require(
                memory.journal.begin(unique: 100 | 1 << 63, opcode: 10, node: 7))
            counts.append(slot.countRepeat())
            slot.outlived(102)
            if death == 5 { slot.outlived(100 | 1 << 63) }
            if death == 7 { slot.free() }
        }
        #expect(counts == [1, 2, 3, 4, 5, 1, 2])
        let last = try session(keeper)
        let other = try #require(
            last.journal.begin(unique: 100 | 1 << 63, opcode: 10, node: 7))
        #expect(other.countRepeat() == 1)
    }

    @Test("a slot that nobody has asked for is taken by one")
    func abandoned() throws {
        let keeper = LocalKeeper()
        _ = try session(keeper).journal.begin(unique: 8, opcode: 1, node: 1)
        let next = try session(keeper.successor())
        #expect(next.journal.takeAbandoned().count == 1)
        #expect(next.journal.takeAbandoned().isEmpty)
    }

    @Test("a slot whose request has come again and waits is not abandoned")
    func expected() throws {
        let keeper = LocalKeeper()
        let journal = try session(keeper).journal
        for unique: UInt64 in [8, 10] { _ = journal.begin(unique: unique, opcode: 1, node: 1) }
        let next = try session(keeper.successor()).journal
        for unique: UInt64 in [8, 12] { next.expect(unique | 1 << 63) }
        #expect(next.takeAbandoned().count == 1)
        let entry = try #require(next.begin(unique: 8 | 1 << 63, opcode: 1, node: 1))
        #expect(entry.isRepeat)
    }

    @Test("a thread holds what the journal does not know from before it receives until it has told")
    func rounds() throws {
        let round = Round()
        round.next()
        let open = try #require(round.open)
        #expect(!round.hasPassed(open))
        round.isJournalled()
        #expect(round.hasPassed(open) && round.open == nil)
        round.isJournalled()
        #expect(round.open == nil)
        round.next()
        #expect(round.hasPassed(open) && round.open != nil)
    }

    @Test("events are read behind any offset, and after one that a predecessor has kept")
    func farOffsets() {
        let log = EventLog()
        let view = EventView(log, start: Int.max - 100)
        log.append { _, _ in Array("an event\n".utf8) }
        #expect(view.end > view.start)
        #expect(view.bytes(at: Int.max - 100, 1) == [])
        #expect(view.bytes(at: view.start, 1)?.count == 1)
    }
}
