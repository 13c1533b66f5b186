import MirrorSystem
import Synchronization
import SystemPackage

/// What the kernel's file handles stand for. A handle is an index, so that it can mean the same to a
/// restarted worker.
///
/// `with` takes no lock and no reference: the kernel names a handle only after OPEN was answered and
/// before it sends RELEASE, and waits with RELEASE for every request that uses the handle.
///
/// `@unchecked Sendable`: a slot is written under `free`'s lock before the handle is told, and cleared
/// after its last use.
final class HandleTable<Value: AnyObject & Sendable>: @unchecked Sendable {
    /// Address space for 8 MiB of slots; pages are only used where handles are. An open past it fails
    /// with ENFILE, but the limit of descriptors comes long before.
    private static var capacity: Int { 1 << 20 }

    fileprivate struct Free {
        var indices: [Int] = []
        var next = 0
    }

    private let memory = PageMemory(count: HandleTable.capacity * MemoryLayout<UInt>.size)
    /// Protects the choice of slots. Nothing is called under it.
    private let free = Mutex(Free())

    @inline(__always)
    private var slots: UnsafeMutablePointer<Unmanaged<Value>?> {
        memory.bytes.baseAddress!.assumingMemoryBound(to: Unmanaged<Value>?.self)
    }

    /// - Throws: `.tooManyOpenFilesInSystem` where every slot is taken.
    func insert(_ value: Value) throws(Errno) -> UInt64 {
        let index = free.withLock { free -> Int? in
            guard let index = free.take(below: Self.capacity) else { return nil }
            slots[index] = Unmanaged.passRetained(value)
            return index
        }
        guard let index else { throw .tooManyOpenFilesInSystem }
        return UInt64(index)
    }

    /// Runs `body` with what the handle stands for. Traps on a handle that was never given out.
    @inline(__always)
    func with<Result, Failure: Error>(
        _ handle: UInt64, _ body: (Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(handle < UInt64(Self.capacity))
        let result = slots[Int(handle)]!._withUnsafeGuaranteedRef { value in
            Swift.Result { () throws(Failure) in try body(value) }
        }
        return try result.get()
    }

    /// Takes the handle back.
    func remove(_ handle: UInt64) -> Value {
        free.withLock { free in
            let index = Int(handle)
            let value = slots[index]!.takeRetainedValue()
            slots[index] = nil
            free.indices.append(index)
            return value
        }
    }

    /// Everything that is open now.
    var all: [Value] {
        free.withLock { free in
            (0..<free.next).compactMap { slots[$0]?.takeUnretainedValue() }
        }
    }
}

extension HandleTable.Free {
    fileprivate mutating func take(below capacity: Int) -> Int? {
        if let index = indices.popLast() { return index }
        guard next < capacity else { return nil }
        defer { next += 1 }
        return next
    }
}
