import MirrorSystem
import Synchronization
import SystemPackage

// What a successor needs to go on with a mount, in memory that outlives this process:
//
//     header │ node records │ records of open files │ of open directories │ of open .mirror files │
//     journal │ .mirror nodes
//
// All records have a fixed size and a place for ever, so that nothing is moved. A record is written
// word by word and becomes valid by the store of its number, which is the last; it becomes invalid
// by storing 0 there first. A process that is killed at any instruction therefore leaves valid
// records only. Pages that were never used cost nothing, and are never looked at.

/// A word of kept memory.
///
/// `@unchecked Sendable`: the memory lives as long as the process, and every access is atomic.
struct SharedWord: @unchecked Sendable {
    private let place: UnsafeMutablePointer<Atomic<UInt64>>

    init(_ base: UnsafeMutableRawPointer, _ index: Int) {
        place = (base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    var value: UInt64 { place.pointee.load(ordering: .acquiring) }

    /// Nothing that stands before it in the program is later, nothing that stands behind it
    /// earlier.
    func set(_ value: UInt64) {
        place.pointee.store(value, ordering: .releasing)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        #if DEBUG
            Self.afterStore?()
        #endif
    }

    #if DEBUG
        /// Called after every store, where a kill would leave the memory as it is then. Set by
        /// tests that run one after the other, before any thread stores.
        nonisolated(unsafe) static var afterStore: (() -> Void)?
    #endif

    /// At least `value` from now on, whoever else raises it meanwhile.
    func raise(to value: UInt64) {
        place.pointee.max(value, ordering: .sequentiallyConsistent)
        #if DEBUG
            Self.afterStore?()
        #endif
    }

    /// Whether the word was `expected`, and is `value` now.
    func take(_ value: UInt64, from expected: UInt64 = 0) -> Bool {
        place.pointee.compareExchange(
            expected: expected, desired: value, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// One more; the new value.
    func next() -> UInt64 {
        place.pointee.add(1, ordering: .acquiringAndReleasing).newValue
    }
}

/// The memory `session` of a keeper.
final class SessionMemory: Sendable {
    private static let magic: UInt64 = 0x7365_7373_6e69_7774
    private static let version: UInt64 = 1
    private static let headerSize = 4096
    /// Where the INIT request stands in the header, and how long it may be.
    private static let initPlace = 1024
    private static let initRoom = 2048

    static let nodeCount = 1 << 20
    static let handleCount = 1 << 20
    static let mirrorHandleCount = 1 << 16
    static let mirrorNodeCount = 1 << 16

    private let memory: SharedMemory
    /// Whether a predecessor has served the mount; its records are there.
    let isInherited: Bool
    let nodes: NodeRecords
    let controlNodes: NodeRecords
    let files: HandleRecords
    let directories: HandleRecords
    let controlFiles: HandleRecords
    let journal: RequestJournal

    /// - Throws: `.invalidArgument` where a predecessor has left a layout that this version does
    ///   not know.
    init(_ keeper: any Keeper) throws(Errno) {
        let sizes = [
            Self.headerSize, Self.nodeCount * NodeRecords.size,
            Self.handleCount * HandleRecords.size, Self.handleCount * HandleRecords.size,
            Self.mirrorHandleCount * HandleRecords.mirrorSize,
            RequestJournal.count * RequestJournal.size,
            Self.mirrorNodeCount * NodeRecords.size,
        ]
        let total = sizes.reduce(0, +)
        let kept = try keeper.memory("session", count: total)
        memory = kept.memory
        guard memory.bytes.count >= total else { throw .invalidArgument }
        let base = memory.bytes.baseAddress!
        let starts = sizes.indices.map { base + sizes[..<$0].reduce(0, +) }
        let layout = sizes.reduce(0 as UInt64) { $0 &* 31 &+ UInt64($1) }
        isInherited = try Self.begin(base, layout)
        nodes = NodeRecords(memory, starts[1], Self.nodeCount, used: SharedWord(base, 6))
        controlNodes = NodeRecords(
            memory, starts[6], Self.mirrorNodeCount, used: SharedWord(base, 12))
        let serial = SharedWord(base, 11)
        files = HandleRecords(
            memory, starts[2], HandleRecords.size, Self.handleCount, used: SharedWord(base, 8),
            serial
        )
        directories = HandleRecords(
            memory, starts[3], HandleRecords.size, Self.handleCount, used: SharedWord(base, 9),
            serial
        )
        controlFiles = HandleRecords(
            memory, starts[4], HandleRecords.mirrorSize, Self.mirrorHandleCount,
            used: SharedWord(base, 10),
            serial)
        journal = RequestJournal(memory, starts[5], life: UInt64(keeper.predecessors))
    }

    /// Writes the header where it is missing. Whether it was there.
    private static func begin(
        _ base: UnsafeMutableRawPointer, _ layout: UInt64
    ) throws(Errno) -> Bool {
        let (magic, version, known) = (
            SharedWord(base, 0), SharedWord(base, 1), SharedWord(base, 2)
        )
        if magic.value == 0 {
            version.set(Self.version)
            known.set(layout)
            magic.set(Self.magic)
            return false
        }
        guard magic.value == Self.magic, version.value == Self.version, known.value == layout else {
            throw .invalidArgument
        }
        return true
    }

    private func word(_ index: Int) -> SharedWord { SharedWord(memory.bytes.baseAddress!, index) }

    /// Numbers of nodes that were given out, and of those of `.mirror`.
    var lastNode: SharedWord { word(5) }
    var lastControlNode: SharedWord { word(7) }

    /// 1 from when INIT was answered.
    var initAnswered: SharedWord { word(4) }

    /// The INIT request that the mount began with; empty before it came.
    var initRequest: [UInt8] {
        let count = Int(clamping: word(3).value)
        return Array(memory.bytes[Self.initPlace...].prefix(min(count, Self.initRoom)))
    }

    /// Whether INIT has come to a session whose memory this is.
    static func hasBegun(_ file: FileDescriptor) -> Bool {
        var count: UInt64 = 0
        let read = withUnsafeMutableBytes(of: &count) { try? file.readSome(into: $0, at: 3 * 8) }
        return read == 8 && count != 0
    }

    func keep(initRequest: UnsafeRawBufferPointer) {
        guard initRequest.count <= Self.initRoom else { return }
        word(3).set(0)
        UnsafeMutableRawBufferPointer(rebasing: memory.bytes[Self.initPlace...])
            .copyMemory(from: initRequest)
        word(3).set(UInt64(initRequest.count))
    }
}
