import CFuse
import MirrorEngine
import MirrorImage
import MirrorSystem
import SystemPackage

// FSYNC, FALLOCATE, LSEEK, IOCTL of open files.

extension Session {
    func flush(_ reply: consuming Reply, _ node: UInt64, _ handle: UInt64, dataOnly: Bool) {
        if ControlNumber.owns(node) { return reply.done() }
        guard let file = try? files.value(handle) else { return reply.fail(.staleNFSFileHandle) }
        do throws(Errno) {
            try file.image.flush(dataOnly: dataOnly, through: file.descriptor)
        } catch {
            // Before the answer: the filesystem tells a successor nothing of it.
            nodes.setFlushFailure(error.rawValue, of: file.node.id)
            return reply.fail(error)
        }
        guard file.image.flushesTwins else { return reply.done() }
        let waiting = WaitingReply(reply)
        file.image.flushTwins { waiting.take().done() }
    }

    func allocate(
        _ reply: consuming Reply, _ node: UInt64, _ handle: UInt64, _ mode: Int32, _ offset: UInt64,
        _ count: UInt64
    ) {
        if ControlNumber.owns(node) { return reply.fail(.notPermitted) }
        guard let file = try? files.value(handle) else { return reply.fail(.staleNFSFileHandle) }
        let waiting = WaitingReply(reply)
        file.image.perform {
            file.image.allocate(
                AllocationMode(rawValue: mode), at: offset, count: count, through: file.descriptor)
        } then: { outcome in
            if case .failed(let error) = outcome { return waiting.take().fail(error) }
            waiting.take().done()
        }
    }

    /// SEEK_DATA and SEEK_HOLE; the kernel does the others itself.
    func seek(
        _ reply: consuming Reply, _ node: UInt64, _ handle: UInt64, _ offset: Int64, _ whence: Int32
    ) {
        if ControlNumber.owns(node) { return reply.fail(.invalidArgument) }
        do throws(Errno) {
            let file = try files.value(handle)
            let found = try file.descriptor.seekRaw(offset, whence)
            reply.position(try file.image.owned(found, from: offset))
        } catch {
            reply.fail(error)
        }
    }

    /// Only what hypervisors ask for the alignment of direct I/O (XFS_IOC_DIOINFO) is answered.
    func control(_ reply: consuming Reply, _ node: UInt64, _ command: UInt32, _ capacity: Int) {
        guard command == DirectIOLimits.command, !ControlNumber.owns(node),
            capacity >= MemoryLayout<DirectIOLimits>.size
        else { return reply.fail(.inappropriateIOCTLForDevice) }
        let limits = DirectIOLimits()
        reply.ioctl(limits)
    }
}

/// `struct dioattr` of XFS. What is not aligned for the backing file is done buffered, so nothing
/// is demanded; 512 makes QEMU's `cache=none` accept images whose size is no multiple of 4096.
struct DirectIOLimits {
    static let command: UInt32 = 0x800c_581e

    let memoryAlignment: UInt32 = 512
    let smallest: UInt32 = 512
    let largest = UInt32(Session.payload)
}
