import CFuse
import MirrorSystem
import Synchronization

/// What belongs to one request thread.
///
/// `@unchecked Sendable`: only its thread uses it.
final class RequestThread: @unchecked Sendable {
    /// Where the payload of a WRITE starts in a request.
    static let headerSize = 80
    /// What an answer begins with.
    static let answerHeaderSize = 16

    private let memory: PageMemory
    /// A request is received here. Its byte 80 is page-aligned, so that the payload of a WRITE
    /// could go to a descriptor that wants alignment.
    let request: UnsafeMutableRawBufferPointer
    /// What READ answers with: page-aligned, with room for the answer's head before it.
    let answer: UnsafeMutableRawBufferPointer
    /// Whether the thread can take on a caller's umask without touching other threads'.
    let ownsMask: Bool

    /// Bytes from which on a read is answered through a pipe (docs/performance-log.md).
    static let leastPiped: UInt32 = 32 << 10
    /// For large reads; nil where there are no descriptors for it. With room for the largest read
    /// and its head.
    private(set) lazy var pipe = try? PagePipe(2 * Session.payload)

    let round = Round()

    /// The journal's slot of the request that is being decoded, until its reply takes it.
    var entry: JournalEntry?

    func takeEntry() -> JournalEntry? { entry.take() }

    init() {
        let page = PageMemory.pageSize
        memory = PageMemory(count: 4 * page + 2 * Session.payload)
        let bytes = memory.bytes
        request = UnsafeMutableRawBufferPointer(
            rebasing: bytes[(page - Self.headerSize)..<(2 * page + Session.payload)])
        answer = UnsafeMutableRawBufferPointer(
            rebasing: bytes[(3 * page + Session.payload)..<(3 * page + 2 * Session.payload)])
        ownsMask = ThreadIdentity.ownMask()
        touch()
    }

    /// Has the pages of `request` there before a request is received. A thread of a process that is
    /// being killed may still receive one; the kernel cannot then find a page for it that was never
    /// used, and answers the caller with EIO.
    private func touch() {
        for offset in stride(from: 0, to: request.count, by: PageMemory.pageSize) {
            request[offset] = 0
        }
        request[request.count - 1] = 0
    }

    /// Where the head of an answer goes that carries `answer`.
    var answerHeader: UnsafeMutableRawPointer { answer.baseAddress! - Self.answerHeaderSize }

    /// The number in a POLL request that the kernel is to be woken by.
    var pollerNumber: UInt64 { request.load(fromByteOffset: 48, as: UInt64.self) }

    /// The calling thread's; callbacks from libfuse find it with this.
    static var current: RequestThread {
        Unmanaged<RequestThread>.fromOpaque(cfuse_thread_state()).takeUnretainedValue()
    }
}
