import CFuse
import MirrorSystem
import SystemPackage

/// The one answer to a READ or WRITE that the loop decoded itself, past libfuse (R8). Forgotten, it
/// fails with EIO.
struct DataReply: ~Copyable, Sendable {
    private let device: Int32
    private let unique: UInt64

    /// `unique` is the request's number, with bit 63 where the kernel sent it again.
    init(device: Int32, unique: UInt64) {
        self.device = device
        self.unique = unique
    }

    deinit { Self.send(device, unique, Errno.ioError.rawValue) }

    @inline(__always)
    consuming func fail(_ error: Errno) {
        Self.send(device, unique, error.rawValue)
        discard self
    }

    /// Answers WRITE.
    @inline(__always)
    consuming func written(_ count: Int) {
        var message = (
            fuse_out_header(len: 24, error: 0, unique: unique),
            fuse_write_out(size: UInt32(count), padding: 0)
        )
        _ = withUnsafePointer(to: &message) { cfuse_write(device, $0, 24) }
        discard self
    }

    /// Answers READ with the first `count` bytes after `header`, where the answer's head is
    /// written.
    @inline(__always)
    consuming func data(after header: UnsafeMutableRawPointer, count: Int) {
        let length = MemoryLayout<fuse_out_header>.size + count
        header.storeBytes(
            of: fuse_out_header(len: UInt32(length), error: 0, unique: unique),
            as: fuse_out_header.self)
        _ = cfuse_write(device, header, length)
        discard self
    }

    /// Answers READ with `count` bytes that `fill` adds to the pipe. False where the request still
    /// wants its answer: the bytes are not all there, or the kernel took nothing. Whatever else it
    /// says, it has ended the request (R8), with an error where a page could not be read any more;
    /// then its handle may be gone too.
    func pages(
        _ count: Int, by pipe: PagePipe, _ scratch: UnsafeMutableRawBufferPointer,
        _ fill: () -> Bool
    ) -> Bool {
        let length = MemoryLayout<fuse_out_header>.size + count
        var head = fuse_out_header(len: UInt32(length), error: 0, unique: unique)
        guard withUnsafeBytes(of: &head, { pipe.begin(with: $0) }), fill() else {
            pipe.empty(into: scratch)
            return false
        }
        let device = FileDescriptor(rawValue: device)
        guard let error = pipe.send(length, to: device) else { return true }
        pipe.empty(into: scratch)
        return ![.invalidArgument, .noMemory, .resourceTemporarilyUnavailable].contains(error)
    }

    /// It has been answered by `pages`.
    consuming func isAnswered() { discard self }

    // A failed answer needs nothing: the kernel has given the request up (ENOENT) or the mount is
    // gone.
    private static func send(_ device: Int32, _ unique: UInt64, _ error: Int32) {
        var header = fuse_out_header(len: 16, error: -error, unique: unique)
        _ = cfuse_write(device, &header, 16)
    }
}
