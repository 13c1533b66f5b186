import MirrorCore
import SystemPackage

@testable import MirrorEngine
@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

/// A real store whose calls fail or hang as a plan says.
struct FaultyStore: TwinStore {
    let real: any TwinStore
    let plan: FaultPlan

    var capacity: UInt64? { real.capacity }
    var blockSize: Int { real.blockSize }
    var local: FileDescriptor? { real.local }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        try plan.pass(.read)
        return try real.read(into: buffer, at: offset)
    }

    func readBulk(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(Errno) -> Int {
        try plan.pass(.read)
        return try real.readBulk(into: buffer, at: offset)
    }

    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try plan.pass(.write)
        try real.write(data, at: offset)
    }

    func writeBulk(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try plan.pass(.write)
        try real.writeBulk(data, at: offset)
    }

    func zero(_ range: ByteRange, unmap: Bool) throws(Errno) {
        try plan.pass(.zero)
        try real.zero(range, unmap: unmap)
    }

    /// Nobody hears of its failing: it is tried, or not.
    func giveBackTail(of range: ByteRange, _ claimed: UInt64) -> Bool {
        real.giveBackTail(of: range, claimed)
    }

    func setSize(_ size: UInt64) throws(Errno) {
        try plan.pass(.setSize)
        try real.setSize(size)
    }

    func size() throws(Errno) -> UInt64 {
        try plan.pass(.read)
        return try real.size()
    }

    func flush() throws(Errno) {
        try plan.pass(.flush)
        try real.flush()
    }

    func close() { real.close() }
}

extension FaultPlan: TargetFilter {
    func filtered(_ store: any TwinStore) -> any TwinStore { FaultyStore(real: store, plan: self) }
    func willPublish() throws(Errno) { try pass(.publish) }
}
