/// Whether an image's header refers to other files, so that copying it alone (`sync=full` without its
/// chain) would make a twin that does not open.
///
/// Formats: qcow2 (QEMU docs/interop/qcow2.txt), VMDK 5.0, VHD 1.0 and VHDX 1.0. Any other content
/// is raw and refers to nothing. Reads only what is there: any bytes, cut off anywhere, are an answer.
public enum ImageHeader: Hashable, Sendable {
    /// How much of an image's beginning decides, bytes; VHDX alone has more to read elsewhere.
    public static let bytesNeeded = 65536

    case none
    /// What it refers to, for a message: `a qcow2 backing file base.qcow2`. Names are harmless.
    case refersTo(String)

    /// What the first bytes of an image say. A VHDX cannot be judged by them and counts as referring.
    ///
    /// - Parameter start: the image from offset 0; `bytesNeeded` bytes, or all of a shorter image.
    public init(_ start: [UInt8]) {
        self.init { offset, count in
            offset < UInt64(start.count) ? Array(start[Int(offset)...].prefix(count)) : []
        }
    }

    /// What an image says, read where its format has it.
    ///
    /// - Parameter read: up to the given count of bytes (at most `bytesNeeded`) at an offset; fewer, or none,
    ///   where the image ends or cannot be read.
    public init(read: @escaping (_ offset: UInt64, _ count: Int) -> [UInt8]) {
        let bytes = HeaderBytes(read: read)
        let found = bytes.qcow2 ?? bytes.vmdk ?? bytes.vhd ?? bytes.vhdx
        self = found.map { .refersTo($0) } ?? .none
    }
}

/// An image's bytes at any offset: what lies outside is nil.
struct HeaderBytes {
    let read: (UInt64, Int) -> [UInt8]

    /// `count` bytes at `offset`, all of them or nil.
    func slice(_ offset: UInt64, _ count: UInt64) -> [UInt8]? {
        let bytes = upTo(count, from: offset)
        return UInt64(bytes.count) == count ? bytes : nil
    }

    /// From `offset` on, at most `count` bytes and at most `bytesNeeded`; empty past the end.
    func upTo(_ count: UInt64, from offset: UInt64) -> [UInt8] {
        let count = Int(min(count, UInt64(ImageHeader.bytesNeeded)))
        guard offset <= UInt64(Int64.max) - UInt64(count) else { return [] }
        return Array(read(offset, count).prefix(count))
    }

    func has(_ text: String, at offset: UInt64) -> Bool {
        slice(offset, UInt64(text.utf8.count))?.elementsEqual(text.utf8) ?? false
    }

    /// An unsigned number of `count` bytes, at most 8, most significant first.
    func bigEndian(_ offset: UInt64, _ count: UInt64) -> UInt64? {
        slice(offset, count)?.reduce(0) { $0 << 8 | UInt64($1) }
    }

    func littleEndian(_ offset: UInt64, _ count: UInt64) -> UInt64? {
        slice(offset, count)?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
