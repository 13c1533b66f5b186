import MirrorSystem
import Synchronization
import SystemPackage

/// What the kernel's file handles stand for. Every handle has a record in kept memory, so that it
/// means the same to a successor; the low bits of its number are its place in the table.
///
/// `with` takes no lock and no reference: the kernel names a handle only after OPEN was answered
/// and before it sends RELEASE, and waits with RELEASE for every request that uses the handle.
///
/// `@unchecked Sendable`: a slot is written under `free`'s lock before the handle is told, and
/// cleared after its last use.
final class HandleTable<Value: AnyObject & Sendable>: @unchecked Sendable {
    let records: HandleRecords
    /// Pages are only used where handles are.
    private let memory: PageMemory
    /// Protects the choice of slots. No call out under it.
    private let free: Mutex<FreeSlots>

    init(_ records: HandleRecords) {
        self.records = records
        memory = PageMemory(count: records.capacity * MemoryLayout<UInt>.size)
        let used = Set(records.all.map { HandleRecords.place($0.number) })
        free = Mutex(
            FreeSlots(capacity: records.capacity, high: records.usedCount, used: used))
    }

    @inline(__always)
    private var slots: UnsafeMutablePointer<Unmanaged<Value>?> {
        memory.bytes.baseAddress!.assumingMemoryBound(to: Unmanaged<Value>?.self)
    }

    /// A handle for `value`, with its record. `entry` is told the number before the record is
    /// valid.
    ///
    /// - Throws: `.tooManyOpenFilesInSystem` where every slot is taken.
    func insert(
        _ value: Value, node: UInt64, flags: Int32 = 0, backing: Int32 = 0, _ entry: JournalEntry?
    ) throws(Errno) -> UInt64 {
        guard let place = free.withLock({ $0.take() }) else { throw .tooManyOpenFilesInSystem }
        let handle = records.newNumber(at: place)
        entry?.note(handle: handle)
        free.withLock { _ in slots[place] = Unmanaged.passRetained(value) }
        records.write(
            HandleRecords.Entry(number: handle, node: node, flags: flags, backing: backing))
        return handle
    }

    /// Gives a predecessor's handle its meaning again.
    func restore(_ handle: UInt64, _ value: Value) {
        free.withLock { _ in
            slots[HandleRecords.place(handle)] = Unmanaged.passRetained(value)
        }
    }

    /// Whether the handle stands for something: a predecessor's may have been lost.
    @inline(__always)
    func holds(_ handle: UInt64) -> Bool { slots[HandleRecords.place(handle)] != nil }

    /// Runs `body` with what the handle stands for. Traps where it does not hold.
    @inline(__always)
    func with<Result, Failure: Error>(
        _ handle: UInt64, _ body: (Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let result = slots[HandleRecords.place(handle)]!._withUnsafeGuaranteedRef { value in
            Swift.Result { () throws(Failure) in try body(value) }
        }
        return try result.get()
    }

    /// - Throws: `.staleNFSFileHandle` where the file of a predecessor's handle was not found
    ///   again.
    func value(_ handle: UInt64) throws(Errno) -> Value {
        guard holds(handle) else { throw .staleNFSFileHandle }
        return with(handle) { $0 }
    }

    /// Takes the handle back; nil where it is not open, or lost.
    func remove(_ handle: UInt64) -> Value? {
        free.withLock { free in
            guard records.isValid(handle) else { return nil }
            records.clear(handle)
            let place = HandleRecords.place(handle)
            let value = slots[place]?.takeRetainedValue()
            slots[place] = nil
            free.give(place)
            return value
        }
    }

    /// Everything that is open now.
    var all: [Value] {
        free.withLock { free in
            (0..<free.high).compactMap { slots[$0]?.takeUnretainedValue() }
        }
    }
}
