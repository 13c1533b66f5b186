import MirrorCore
import MirrorSystem
package import SystemPackage

// Comparing what the image has with what the twin has: for `existing=reuse`, `verify` and `repair`.

extension Twin {
    /// Where the twin differs from `data`, in ranges of `data`: whole blocks, ascending, neighbours
    /// as one.
    ///
    /// - Parameters:
    ///   - data: what the image has at `offset`.
    ///   - scratch: room for as many bytes, for what the twin has.
    package func differences(
        from data: UnsafeRawBufferPointer, at offset: UInt64,
        using scratch: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> [Range<Int>] {
        let own = UnsafeMutableRawBufferPointer(rebasing: scratch[..<data.count])
        try read(into: own, at: offset)
        if data.isEqual(to: UnsafeRawBufferPointer(own), 0..<data.count) { return [] }
        var found: [Range<Int>] = []
        var start = 0
        while start < data.count {
            // Blocks begin at multiples of their size in the file.
            let phase = Int((offset + UInt64(start)) % UInt64(zeroBlock))
            let block = start..<min(start + zeroBlock - phase, data.count)
            if !data.isEqual(to: UnsafeRawBufferPointer(own), block) {
                if let last = found.last, last.upperBound == block.lowerBound {
                    found[found.count - 1] = last.lowerBound..<block.upperBound
                } else {
                    found.append(block)
                }
            }
            start = block.upperBound
        }
        return found
    }

    /// Writes what differs, so that the twin has `data` at `offset`; with `unmap` zero runs become
    /// holes also where the twin has zeroes written out, so that its allocation is as exact as its
    /// bytes.
    ///
    /// - Returns: bytes of the blocks that differed.
    package func makeEqual(
        to data: UnsafeRawBufferPointer, at offset: UInt64,
        using scratch: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        let different = try differences(from: data, at: offset, using: scratch)
        var next = 0
        try ZeroScan.forEachRun(in: data, at: offset, block: zeroBlock) {
            (run, isZero) throws(Errno) in
            // Both lists ascend: each difference is looked at with the runs that it meets.
            while next < different.count, different[next].upperBound <= run.lowerBound { next += 1 }
            if isZero {
                let isMet = next < different.count && different[next].lowerBound < run.upperBound
                guard unmap || isMet else { return }
                return try zero(
                    ByteRange(at: offset + UInt64(run.lowerBound), count: UInt64(run.count)))
            }
            var index = next
            while index < different.count, different[index].lowerBound < run.upperBound {
                let piece = different[index].clamped(to: run)
                try write(
                    UnsafeRawBufferPointer(rebasing: data[piece]),
                    at: offset + UInt64(piece.lowerBound))
                index += 1
            }
        }
        return different.reduce(0) { $0 + $1.count }
    }
}
