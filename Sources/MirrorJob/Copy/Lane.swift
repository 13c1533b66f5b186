import Dispatch
import MirrorCore
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

/// What came of copying one extent.
struct CopyResult: Sendable {
    let extent: Range<Int>
    /// Bytes read from the source, zeroes among them.
    var copied = 0
    var zeroes = 0
    var failure: (side: JobMachine.Side, error: Errno)?
}

/// One copy at a time: a serial queue, which on Linux gets a thread of its own at once, and a
/// buffer.
///
/// `@unchecked Sendable`: the buffer is touched only on the lane's queue, or by the job's queue
/// while the lane is idle.
final class Lane: @unchecked Sendable {
    /// Largest piece that is read and written at once.
    static let largestPiece = 1 << 20

    let queue: DispatchQueue
    private let size: Int
    private var buffer: UnsafeMutableRawBufferPointer?

    init(label: String, bufferSize: Int) {
        queue = DispatchQueue(label: label, qos: .utility)
        size = min(Self.largestPiece, bufferSize & ~(ZeroScan.block - 1))
    }

    deinit { buffer?.deallocate() }

    /// Gives the memory back; the job sleeps.
    func rest() {
        buffer?.deallocate()
        buffer = nil
    }

    /// The copier's steps b and c (docs/invariants.md) for each extent in turn. The claims stay
    /// the caller's to end.
    func copy(_ batch: CopyBatch) -> [CopyResult] {
        let limit = batch.member.readLimit
        return batch.extents.map { extent in
            var result = CopyResult(extent: extent)
            let bytes = batch.member.table.granularity.bytes(of: extent)
            copy(bytes, of: batch, upTo: limit, &result)
            return result
        }
    }

    private func copy(
        _ range: ByteRange, of batch: CopyBatch, upTo limit: UInt64,
        _ result: inout CopyResult
    ) {
        let twin = batch.member.twin
        let buffer = room(for: batch.compares ? 2 : 1)
        var offset = range.lowerBound
        while offset < range.upperBound {
            // Pieces end where blocks do, so that a hole at their seam is seen as one.
            let most = size - Int(offset % UInt64(ZeroScan.block))
            let count = Int(min(UInt64(most), range.upperBound - offset))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            let there = limit > offset ? min(UInt64(count), limit - offset) : 0
            let wanted = UnsafeMutableRawBufferPointer(rebasing: piece[..<Int(there)])
            guard let done = read(wanted, offset, batch, &result) else { return }
            let data = UnsafeRawBufferPointer(rebasing: piece[..<done])
            do throws(Errno) {
                if batch.compares {
                    let other = UnsafeMutableRawBufferPointer(rebasing: buffer[size..<size + done])
                    _ = try twin.makeEqual(to: data, at: offset, using: other)
                } else {
                    let claimed = offset + UInt64(count)
                    try write(data, offset, batch, claimed: claimed, &result)
                }
            } catch {
                result.failure = (.target, error)
                return
            }
            result.copied += done
            offset += UInt64(done)
            if done < count {
                return clear(ByteRange(offset, range.upperBound), twin, &result)
            }
        }
    }

    /// The buffer, with room for so many pieces.
    private func room(for pieces: Int) -> UnsafeMutableRawBufferPointer {
        if let buffer, buffer.count >= pieces * size { return buffer }
        rest()
        let new = UnsafeMutableRawBufferPointer.allocate(
            byteCount: pieces * size, alignment: 4096)
        buffer = new
        return new
    }

    private func read(
        _ piece: UnsafeMutableRawBufferPointer, _ offset: UInt64, _ batch: CopyBatch,
        _ result: inout CopyResult
    ) -> Int? {
        do throws(Errno) {
            return batch.isBulk
                ? try batch.member.bulkSource.readFully(into: piece, at: offset)
                : try batch.member.source.readFully(into: piece, at: offset)
        } catch {
            result.failure = (.source, error)
            return nil
        }
    }

    /// The source ended inside the extent. What the twin has there goes now: the claim took the
    /// marks of the cut with it, and the image may have grown again before its size is next given
    /// to the twin.
    private func clear(_ range: ByteRange, _ twin: Twin, _ result: inout CopyResult) {
        do throws(Errno) {
            try twin.clear(range)
        } catch {
            result.failure = (.target, error)
        }
    }

    private func write(
        _ data: UnsafeRawBufferPointer, _ offset: UInt64, _ batch: CopyBatch, claimed: UInt64,
        _ result: inout CopyResult
    ) throws(Errno) {
        let twin = batch.member.twin
        try ZeroScan.forEachRun(in: data, at: offset, block: twin.zeroBlock) {
            (run, isZero) throws(Errno) in
            let start = offset + UInt64(run.lowerBound)
            if isZero {
                let isLast = run.upperBound == data.count
                try twin.zero(
                    ByteRange(at: start, count: UInt64(run.count)),
                    claimed: isLast ? claimed : nil)
                result.zeroes += run.count
            } else {
                let run = UnsafeRawBufferPointer(rebasing: data[run])
                try twin.write(run, at: start, isBulk: batch.isBulk)
            }
        }
    }
}
