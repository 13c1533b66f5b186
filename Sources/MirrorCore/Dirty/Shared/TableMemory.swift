/// Memory for the marks of one table that outlives the process: where a successor finds them.
///
/// `@unchecked Sendable`: nothing of it changes; what is done with the bytes is ordered by
/// `SharedMarks`.
@safe
public struct TableMemory: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer
    /// Gives whole pages back, `offset` and `count` in bytes; they read as zero from then on. Keeps
    /// the bytes alive, too.
    let giveBack: @Sendable (_ offset: Int, _ count: Int) -> Void
    /// The first byte from `offset` on that may be other than zero; nil where all are zero. To look
    /// at zeroes that were never touched may take memory for them.
    let nextTouched: @Sendable (_ offset: Int) -> Int?

    /// - Parameters:
    ///   - bytes: page-aligned. All zero for a new table. What is never touched should cost
    ///     nothing.
    ///   - giveBack: gives pages back, or does nothing; keeps the bytes alive.
    ///   - nextTouched: which bytes need not be looked at.
    public init(
        _ bytes: UnsafeMutableRawBufferPointer,
        giveBack: @escaping @Sendable (_ offset: Int, _ count: Int) -> Void,
        nextTouched: @escaping @Sendable (_ offset: Int) -> Int? = { $0 }
    ) {
        unsafe self.bytes = unsafe bytes
        (self.giveBack, self.nextTouched) = (giveBack, nextTouched)
    }

    /// Bytes that a table takes, nearly all of them never touched: 2 GiB at 4 KiB granules.
    public static func size(granularity: Granularity) -> Int {
        SharedMarks.Layout.pages + SharedMarks.Layout.exactShards
            * SharedMarks.Layout.pageBytes(granularity)
    }

    var count: Int { unsafe bytes.count }

    /// `count` words from byte `offset` on.
    @safe
    func words(at offset: Int, count: Int) -> AtomicWords {
        precondition(offset + count * 8 <= self.count, "memory too small for a table")
        return unsafe AtomicWords(at: bytes.baseAddress! + offset, count: count)
    }
}
