/// Which files an image's header refers to: what `sync=full` takes along.
///
/// Formats: qcow, qcow2 and QED (QEMU docs/interop), VMDK 5.0, VHD 1.0, VHDX 1.0, VDI. Any other
/// content is raw and refers to nothing. Never trusts a length, makes a bounded number of bounded
/// reads, and has an answer for any bytes.
public enum ImageHeader: Hashable, Sendable {
    /// The most that is read at once, bytes.
    public static let largestRead = 65536
    /// The most references that one image may have.
    public static let mostReferences = 256

    /// What it refers to, in the header's order; empty for raw content and for an image that stands
    /// alone.
    case refersTo([ImageReference])
    /// The format is certain, what it refers to is not: better refused than a twin that does not
    /// open. The text goes on after the image's name: `its qcow2 header …`.
    case unreadable(String)

    /// What an image says, read where its format has it.
    ///
    /// - Parameter read: up to the given count of bytes (at most `largestRead`) at an offset:
    ///   fewer, or none, where the image ends; nil where it cannot be read.
    public init(read: @escaping (_ offset: UInt64, _ count: Int) -> [UInt8]?) {
        do throws(Unreadable) {
            let references = try HeaderReader(read: read).references()
            if references.count > Self.mostReferences {
                throw Unreadable("it refers to more than \(Self.mostReferences) files")
            }
            self = .refersTo(references)
        } catch {
            self = .unreadable(error.why)
        }
    }
}

extension HeaderReader {
    /// Goes by the magic number, as QEMU's probing does.
    fileprivate func references() throws(Unreadable) -> [ImageReference] {
        let start = try upTo(4096, from: 0)
        if start.starts(with: [0x51, 0x46, 0x49, 0xfb]) { return try qcowReferences() }
        if start.starts(with: [0x51, 0x45, 0x44, 0]) { return try qedReferences() }
        if start.starts(with: "KDMV".utf8) { return try sparseVmdkReferences() }
        if start.starts(with: "conectix".utf8) { return try vhdReferences() }
        if start.starts(with: "vhdxfile".utf8) { return try vhdxReferences() }
        if start.dropFirst(64).starts(with: [0x7f, 0x10, 0xda, 0xbe]) {
            return try vdiReferences()
        }
        if VmdkDescriptor.isStart(start) { return try textVmdkReferences() }
        return []
    }

    /// VirtualBox: types 3 and 4 (at byte 76, little-endian) hold differences to a parent.
    private func vdiReferences() throws(Unreadable) -> [ImageReference] {
        guard 3...4 ~= (try littleEndian(76, 4)) else { return [] }
        throw Unreadable("its VDI header names a parent by its UUID alone, not by a file name")
    }
}
