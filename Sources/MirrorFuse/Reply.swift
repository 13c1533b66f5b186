import CFuse
import MirrorSystem
import SystemPackage

/// The one answer to a request that libfuse decoded (R8): the compiler lets it be given once, and a
/// forgotten one fails with EIO. No lock may be held when it is given.
///
/// `@unchecked Sendable`: libfuse lets any thread answer a request, and only one owns this value.
struct Reply: ~Copyable, @unchecked Sendable {
    let request: fuse_req_t
    /// The request's slot in the journal, where it has one.
    let entry: JournalEntry?

    /// On the thread that received the request.
    init(_ request: fuse_req_t?) {
        self.request = request!
        entry = RequestThread.current.takeEntry()
    }

    deinit {
        fuse_reply_err(request, Errno.ioError.rawValue)
        entry?.free()
    }

    /// Around every answer: from the first moment at which it may arrive the slot says so.
    private borrowing func answering<Result>(_ answer: () -> Result) -> Result {
        guard let entry else { return answer() }
        entry.reached(.answering)
        defer { entry.free() }
        return answer()
    }

    consuming func done() {
        _ = answering { fuse_reply_err(request, 0) }
        discard self
    }

    consuming func fail(_ error: Errno) {
        _ = answering { fuse_reply_err(request, error.rawValue) }
        discard self
    }

    /// For FORGET, which the kernel expects no answer to.
    consuming func nothing() {
        fuse_reply_none(request)
        discard self
    }

    /// Answers with bytes as they stand. False where nobody waits for them any more.
    @discardableResult
    consuming func bytes(_ data: UnsafeRawBufferPointer) -> Bool {
        let start = data.baseAddress?.assumingMemoryBound(to: CChar.self)
        let delivered = answering { fuse_reply_buf(request, start, data.count) } == 0
        discard self
        return delivered
    }

    consuming func bytes(_ data: [UInt8]) {
        data.withUnsafeBytes {
            let start = $0.baseAddress?.assumingMemoryBound(to: CChar.self)
            let count = $0.count
            _ = answering { fuse_reply_buf(request, start, count) }
        }
        discard self
    }

    /// Answers with a C structure that newer kernels know better than libfuse.
    consuming func structure<Value>(_ value: Value) -> Bool {
        var copy = value
        let delivered = withUnsafePointer(to: &copy) {
            let start = UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)
            return answering { fuse_reply_buf(request, start, MemoryLayout<Value>.size) } == 0
        }
        discard self
        return delivered
    }

    /// Answers LOOKUP and what makes entries. `valid` is how many seconds the kernel may remember
    /// it. False where nobody waits for it: the kernel then counts no look-up.
    consuming func entry(_ node: UInt64, _ attributes: FileAttributes, valid: Double) -> Bool {
        var entry = fuse_entry_param()
        entry.ino = node
        entry.attr = attributes.raw
        entry.attr_timeout = valid
        entry.entry_timeout = valid
        let delivered = answering { fuse_reply_entry(request, &entry) } == 0
        discard self
        return delivered
    }

    consuming func attributes(_ attributes: FileAttributes, valid: Double) {
        var raw = attributes.raw
        fuse_reply_attr(request, &raw, valid)
        discard self
    }

    consuming func statistics(_ statistics: FilesystemStatistics) {
        var raw = statistics.raw
        fuse_reply_statfs(request, &raw)
        discard self
    }

    consuming func link(_ target: UnsafePointer<CChar>) {
        fuse_reply_readlink(request, target)
        discard self
    }

    consuming func written(_ count: Int) {
        _ = answering { fuse_reply_write(request, count) }
        discard self
    }

    /// How many bytes an extended attribute, or the list of their names, has.
    consuming func attributeSize(_ count: Int) {
        fuse_reply_xattr(request, count)
        discard self
    }

    consuming func position(_ offset: Int64) {
        fuse_reply_lseek(request, Int(offset))
        discard self
    }

    consuming func ioctl(_ value: DirectIOLimits) {
        _ = withUnsafeBytes(of: value) {
            fuse_reply_ioctl(request, 0, $0.baseAddress, $0.count)
        }
        discard self
    }

    consuming func events(_ ready: UInt32) {
        fuse_reply_poll(request, ready)
        discard self
    }
}

/// A reply that waits: for a cut to end, or for a command to take effect. A class, because closures
/// cannot own a `Reply`; still answered once, and with EIO if it is forgotten.
///
/// `@unchecked Sendable`: it is handed from thread to thread, never shared.
final class WaitingReply: @unchecked Sendable {
    private var reply: Reply?

    init(_ reply: consuming Reply) { self.reply = consume reply }

    func take() -> Reply { reply.take()! }
}
