import Dispatch
package import MirrorCore
package import MirrorImage
package import MirrorState
import MirrorSystem
package import MirrorTarget
import Synchronization
package import SystemPackage

/// One image of a job and its twin, and what differs between them.
///
/// `@unchecked Sendable`: every stored `var` is touched on the job's queue only.
package final class Member: @unchecked Sendable {
    package let image: Image
    /// Relative to the source directory, when the job began.
    package let path: FilePath
    /// The bytes that guests see, for reading.
    package let source: FileDescriptor
    /// The source, for what is read once and leaves the page cache to the guest.
    let bulkSource: BulkAccess
    package let twin: Twin
    /// What `sync=incremental` starts from.
    package let checkpoint: Checkpoint?
    /// What differs, and what is not durable yet.
    let tables: MemberTables
    /// What is kept of the member for a restart; the path and the length of the image follow it.
    package let kept: JobRecord.Member
    /// A flush of the twin has failed, and not everything was written and flushed since: the kernel
    /// tells a failure once, and what the twin reads as may be in memory only.
    let flushLost: Atomic<Bool>

    /// What the first pass has to do; after a restart that proves nothing, compare.
    package var firstPass: FirstPass
    /// Makes durable that the image is shorter now, where a device keeps what lies behind; false
    /// where that failed. On the clerk.
    var keepLength: (@Sendable () -> Bool)?
    /// Sends guest writes to the twin; nil before the job has begun, and for a delta.
    var forwarder: Forwarder?
    /// Which extents may differ after a power cut; nil where that is not kept. Set before the job
    /// begins.
    var intents: IntentLog?
    /// What the log said when it was opened, before anybody could write; nil where it says nothing.
    var foundIntents: IntentLog.Found?
    /// Size of the image when it was last given to the twin. Written by the clerk while the job
    /// copies nothing; what keeps the job's record may look meanwhile.
    var knownLength: UInt64 {
        get { atomicLength.load(ordering: .relaxed) }
        set { atomicLength.store(newValue, ordering: .relaxed) }
    }
    private let atomicLength: Atomic<UInt64>
    /// Where the next extent is looked for, in granules.
    var cursor = 0
    /// Odd while the twin is being given the image's size. Any thread may look.
    let resizes = Atomic<UInt64>(0)
    /// The smallest size that the twin was given since a verification last asked: it may have
    /// changed what lies above.
    let lowestResize = Atomic<UInt64>(.max)

    package init(_ parts: MemberPlan, _ parameters: JobParameters, _ tables: MemberTables) {
        (image, path, source, twin) = (parts.image, parts.path, parts.source, parts.twin)
        bulkSource = BulkAccess(parts.source)
        atomicLength = Atomic(parts.size)
        checkpoint = parts.checkpoint
        self.tables = tables
        (kept, firstPass) = (parts.kept, parts.twin.firstPass)
        flushLost = Atomic(parts.kept.lostFlush ?? false)
    }

    var table: DirtyTable { tables.table }
    /// Whether the table is a dead worker's and has all of its marks.
    var isTableWhole: Bool { tables.isWhole }
    /// Written since the last successful flush of the target; re-marked if the next flush fails.
    /// `flushing` is what the flush under way covers, or one that a dead worker had under way.
    var unflushed: DirtyTable { tables.unflushed }
    var flushing: DirtyTable { tables.flushing }
    /// What a delta holds: its extent list. Nothing is ever taken from it.
    var written: DirtyTable? { tables.written }

    /// A successor may believe the tables.
    func settle() {
        table.settle()
        written?.settle()
        unflushed.settle()
        flushing.settle()
    }

    /// Bytes that wait for the copier or are with it.
    var remaining: Int { table.dirtyBytes + table.claimedBytes }
}

// On the job's clerk.

extension Member {
    /// Marks what the first pass has to copy.
    ///
    /// - Returns: how many bytes that is.
    func markFirstPass() -> Int {
        if let checkpoint { return mark(checkpoint) }
        switch firstPass {
        case .nothing: return 0
        case .everything, .compare: return markAll()
        case .data: return markData()
        }
    }

    /// What changed since the checkpoint; its marks stay.
    private func mark(_ checkpoint: Checkpoint) -> Int {
        let extents = checkpoint.extents(below: (try? imageSize()) ?? knownLength)
        for extent in extents { table.markUncounted(extent) }
        return extents.reduce(0) { $0 + Int($1.count) }
    }

    private func markAll() -> Int {
        let size = (try? imageSize()) ?? knownLength
        table.markUncounted(ByteRange(0, size))
        return Int(size)
    }

    /// Bytes of data extents; a filesystem that cannot tell has one that covers all. The first
    /// granule comes last of all, so it is marked in any case: clean, it would be forwarded.
    private func markData() -> Int {
        var (offset, total) = (UInt64(0), 0)
        table.markUncounted(ByteRange(0, 1))
        do throws(Errno) {
            while let data = try source.nextData(from: offset) {
                let hole = try source.nextHole(from: data) ?? data
                if hole <= data { break }
                table.markUncounted(ByteRange(data, hole))
                total += Int(hole - data)
                offset = hole
            }
            return total
        } catch {
            return markAll()
        }
    }

    /// Bytes that the image has now.
    func imageSize() throws(Errno) -> UInt64 {
        let status = try source.status()
        // A device that serves the image may be larger, and keeps its size.
        return status.kind == .blockDevice ? knownLength : status.size
    }

    /// Where the image ends for a reader of `source`; a device goes on behind it. On a lane.
    var readLimit: UInt64 {
        (try? source.status().kind) == .blockDevice ? knownLength : .max
    }

    /// A failed call, and on which side.
    package struct Failure: Error {
        let side: JobMachine.Side
        package let error: Errno
    }

    /// Gives the twin the image's size. Nothing of the job is being copied.
    ///
    /// R2 for the length: the mark was cleared before the size is read. Marks past the end are
    /// forgotten, since the twin has nothing there any more; the size is then read again, and if
    /// the image has grown meanwhile what was forgotten too much is marked. No forwarded write
    /// makes a twin longer, but for those that a truncation overtakes, which mark the size when
    /// they end (`Forwarder.end`).
    func giveTwinItsSize() throws(Failure) {
        let size: UInt64
        let truncations = image.end.begin()
        do throws(Errno) { size = try imageSize() } catch {
            throw Failure(side: .source, error: error)
        }
        lowestResize.min(size, ordering: .sequentiallyConsistent)
        let had: UInt64
        do throws(Errno) {
            had = twin.hasFixedSize ? .max : try twin.size()
            try twin.setSize(size)
        } catch {
            throw Failure(side: .target, error: error)
        }
        // What a device, or a file that was taken over, had behind the image's old end is not the
        // image's.
        if had > knownLength, size > knownLength {
            markUnasked(ByteRange(knownLength, min(size, had)))
        }
        _ = image.end.mayHaveGrown(to: size, since: truncations, isCertain: true)
        let isTruncation = size < knownLength
        knownLength = size
        // Or else a successor would take what the device has behind the end for the image's.
        if isTruncation, twin.hasFixedSize, keepLength?() == false { return }
        let granule = UInt64(table.granularity.bytes)
        table.forgetAll(from: Int((size + granule - 1) / granule))
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if let now = try? imageSize(), now > size {
            table.markUncounted(ByteRange(size, now))
            _ = table.markLength()
        }
    }

    /// The size is about to be given to the twin: counted before its mark is cleared.
    func beginResize() {
        resizes.add(1, ordering: .sequentiallyConsistent)
        table.takeLength()
    }

    func endResize() {
        table.settleLength()
        resizes.add(1, ordering: .sequentiallyConsistent)
    }

    /// Closes both sides; nothing of the job is under way on them.
    package func close() {
        twin.close()
        try? source.close()
    }
}
