import CFuse
import MirrorSystem
import Synchronization

// The requests under way that must not simply be done twice. The kernel sends a successor what its
// predecessor did not answer, with bit 63 in `unique`; the predecessor may have carried it out, or
// half.
//
// taken ──what was there before is noted──▶ begun ──system call──▶ done ──engine told──▶ told
//   └──────────────────────── answering ◀──── (from any) ───────────────────────┘   then free
//
// taken      nothing was done but what is noted: a handle, look-ups
// begun      the change may have been made; `before` says what to know it by
// done       the change was made
// told       the engine knows it
// answering  the answer may have arrived; if the request comes again, it did not
//
// A request that comes again and has no slot was never begun. A slot whose request does not come
// again was answered, or its caller was killed meanwhile.

/// All slots, shared by the threads.
final class RequestJournal: Sendable {
    /// More than there are request threads (64); commands that wait for their effect have the
    /// others.
    static let count = 256
    static let size = 256 + 8 * JournalEntry.mostNodes

    private let memory: Memory
    /// The number of this worker, to know a predecessor's slots by.
    private let life: UInt64

    /// `@unchecked Sendable`: a slot belongs to the request that took it.
    private struct Memory: @unchecked Sendable { let base: UnsafeMutableRawPointer }

    /// Maps the memory for as long as anybody looks at it.
    private let owner: SharedMemory

    init(_ owner: SharedMemory, _ base: UnsafeMutableRawPointer, life: UInt64) {
        self.owner = owner
        memory = Memory(base: base)
        self.life = life
    }

    private func slot(_ index: Int) -> UnsafeMutableRawPointer {
        memory.base + index * Self.size
    }

    /// The slot of a request: its predecessor's where it comes again and had one, else a new one.
    /// Nil where all are taken: the request is then done without.
    func begin(unique: UInt64, opcode: UInt32, node: UInt64) -> JournalEntry? {
        let number = unique & ~Self.resent
        if unique & Self.resent != 0, let old = find(number), old.adopt(life) {
            return JournalEntry(old.base, isRepeat: true)
        }
        // Requests that are under way together have neighbouring numbers.
        let first = Int(truncatingIfNeeded: number / 2)
        for step in 0..<Self.count {
            let place = slot((first &+ step) & (Self.count - 1))
            guard SharedWord(place, 0).take(number) else { continue }
            let entry = JournalEntry(place, isRepeat: false)
            entry.reset(opcode, node, life)
            return entry
        }
        return nil
    }

    /// A request that came again is known of, and begins later: the slot that it may have is not
    /// abandoned.
    func expect(_ unique: UInt64) { _ = find(unique & ~Self.resent)?.adopt(life) }

    static let resent: UInt64 = 1 << 63

    private func find(_ number: UInt64) -> JournalEntry? {
        for index in 0..<Self.count where SharedWord(slot(index), 0).value == number {
            return JournalEntry(slot(index), isRepeat: true)
        }
        return nil
    }

    /// Slots that a predecessor took and nobody has asked for since.
    var abandoned: [JournalEntry] {
        (0..<Self.count).map { JournalEntry(slot($0), isRepeat: true) }
            .filter { $0.isTaken && $0.life != life }
    }

    /// Takes every slot that nobody has asked for; the caller's to free.
    func takeAbandoned() -> [JournalEntry] { abandoned.filter { $0.adopt(life) } }

    /// Whether no request is under way.
    var isIdle: Bool { !(0..<Self.count).contains { SharedWord(slot($0), 0).value != 0 } }
}

/// The slot of one request.
struct JournalEntry: @unchecked Sendable {
    /// Entries that one answer to READDIRPLUS has at most.
    static let mostNodes = 1024

    enum Stage: UInt64 {
        case taken, begun, done, told, answering
    }

    /// What was there before the change.
    struct Before: Equatable {
        /// What the name, or the attribute, was; nil where there was none.
        var subject: FileIdentity?
        /// What had the new name of a rename.
        var replaced: FileIdentity?
        /// Whether what goes away is a regular file that has no other name.
        var isLastName = false
    }

    fileprivate let base: UnsafeMutableRawPointer
    /// Whether a predecessor began the request.
    let isRepeat: Bool

    fileprivate init(_ base: UnsafeMutableRawPointer, isRepeat: Bool) {
        self.base = base
        self.isRepeat = isRepeat
    }

    private func word(_ index: Int) -> SharedWord { SharedWord(base, index) }

    fileprivate var isTaken: Bool { word(0).value != 0 }
    fileprivate var life: UInt64 { word(13).value }
    /// False where somebody else has it by now.
    fileprivate func adopt(_ life: UInt64) -> Bool {
        let old = self.life
        return old == life || word(13).take(life, from: old)
    }

    /// The node that the request names.
    var node: UInt64 { word(14).value }
    var opcode: UInt32 { UInt32(truncatingIfNeeded: word(1).value) }

    /// A kill before the last store leaves stage `taken` with nothing noted: a free slot has that.
    fileprivate func reset(_ opcode: UInt32, _ node: UInt64, _ life: UInt64) {
        word(14).set(node)
        word(13).set(life)
        word(1).set(UInt64(opcode))
    }

    /// The stage goes after what is noted: until then the slot says that it was answered.
    func free() {
        for index in 3...12 { word(index).set(0) }
        word(15).set(0)
        word(2).set(0)
        word(0).set(0)
    }

    var stage: Stage { Stage(rawValue: word(2).value) ?? .taken }
    func reached(_ stage: Stage) { word(2).set(stage.rawValue) }

    // ---- how often it was tried ----

    /// Counts that the request came again and is begun again; how often that was.
    func countRepeat() -> UInt64 { word(15).next() }

    /// The worker is alive after it has begun the request `unique`: an answer that is still due has
    /// to wait for something, and no death that comes is its fault. The slot may be another
    /// request's by now.
    func outlived(_ unique: UInt64) {
        if word(0).value == unique & ~RequestJournal.resent { word(15).set(0) }
    }

    // ---- what was handed out ----

    /// The handle that was made; 0 is none. Noted before the handle's record is valid.
    var handle: UInt64 { word(3).value }
    func note(handle: UInt64) { word(3).set(handle) }

    /// Counts a look-up of this node as handed out, after the node has counted it.
    func note(node: UInt64) {
        let count = word(4).value
        guard count < UInt64(Self.mostNodes) else { return }
        SharedWord(base + 256, Int(count)).set(node)
        word(4).set(count + 1)
    }

    var canNote: Bool { word(4).value < UInt64(Self.mostNodes) }

    /// Takes the newest noted look-up off the list.
    func takeNode() -> UInt64? {
        let count = word(4).value
        guard count > 0 else { return nil }
        word(4).set(count - 1)
        return SharedWord(base + 256, Int(count - 1)).value
    }

    // ---- what was there before ----

    var before: Before {
        let flags = word(5).value
        func identity(_ bit: UInt64, _ index: Int) -> FileIdentity? {
            flags & bit == 0
                ? nil : FileIdentity(device: word(index).value, inode: word(index + 1).value)
        }
        return Before(
            subject: identity(1, 6), replaced: identity(2, 8), isLastName: flags & 4 != 0)
    }

    func begin(_ before: Before) {
        word(6).set(before.subject?.device ?? 0)
        word(7).set(before.subject?.inode ?? 0)
        word(8).set(before.replaced?.device ?? 0)
        word(9).set(before.replaced?.inode ?? 0)
        let flags: UInt64 =
            (before.subject == nil ? 0 : 1) | (before.replaced == nil ? 0 : 2)
            | (before.isLastName ? 4 : 0)
        word(5).set(flags)
        reached(.begun)
    }

    // ---- what a command came to ----

    /// The errno (0 is success) and the words; nil where the command was not done.
    var result: (errno: Int32, text: [UInt8])? {
        guard stage.rawValue >= Stage.done.rawValue else { return nil }
        let count = min(Int(clamping: word(11).value), 8 * Self.mostNodes)
        let errno = Int32(truncatingIfNeeded: word(10).value)
        return (errno, Array(UnsafeRawBufferPointer(start: base + 256, count: count)))
    }

    func note(errno: Int32, _ text: [UInt8]) {
        let text = text.prefix(8 * Self.mostNodes)
        text.withUnsafeBytes {
            (base + 256).copyMemory(
                from: $0.baseAddress ?? UnsafeRawPointer(base), byteCount: $0.count)
        }
        word(11).set(UInt64(text.count))
        word(10).set(UInt64(bitPattern: Int64(errno)))
        reached(.done)
    }

    /// From which byte of a command's words a READ began, plus 1; 0 is not noted.
    var readStart: Int? { word(12).value == 0 ? nil : Int(word(12).value) - 1 }
    func note(readStart: Int) { word(12).set(UInt64(readStart + 1)) }
}
