import MirrorEngine
import MirrorImage
import MirrorSystem
import SystemPackage

// Writes that are answered later than the thread that received them goes on.

/// The reply to a write that is not done yet.
///
/// `@unchecked Sendable`: answered once, by whoever learns what became of the write.
final class LateReply: @unchecked Sendable {
    private var reply: DataReply?

    init(_ reply: consuming DataReply) { self.reply = consume reply }

    func answer(after forward: Forward, of data: UnsafeRawBufferPointer) {
        forward.then(data) { self.answer($0) }
    }

    func answer(_ outcome: Image.Outcome) {
        switch outcome {
        case .done(let count): reply.take()!.written(count)
        case .failed(let error): reply.take()!.fail(error)
        case .held, .forwarded: preconditionFailure("answered before the write is done")
        }
    }
}

/// A write that came while a cut holds the image; it is done when the hold is over.
///
/// `@unchecked Sendable`: nothing of it changes.
final class HeldWrite: @unchecked Sendable {
    private let reply: LateReply
    private let payload: UnsafeMutableRawBufferPointer
    private let offset: UInt64
    private let file: OpenFile
    private let path: DataPath

    init(
        _ reply: LateReply, _ payload: UnsafeRawBufferPointer, _ offset: UInt64, _ file: OpenFile,
        _ path: DataPath
    ) {
        self.reply = reply
        self.payload = .allocate(byteCount: payload.count, alignment: PageMemory.pageSize)
        self.payload.copyMemory(from: payload)
        self.offset = offset
        self.file = file
        self.path = path
    }

    deinit { payload.deallocate() }

    func wait() { file.image.whenLifted { self.retry() } }

    private func retry() {
        let data = UnsafeRawBufferPointer(payload)
        // Whoever lifts holds waits for no twin.
        switch file.image.write(data, at: offset, through: path, mayStay: false) {
        case .held: wait()
        case .forwarded(let forward): reply.answer(after: forward, of: data)
        case let outcome: reply.answer(outcome)
        }
    }
}
