import CFuse
import MirrorEngine
import MirrorImage
import MirrorSystem
import Synchronization
import SystemPackage

// READ and WRITE of images, decoded here: libfuse's own dispatch takes three locks and an
// allocation for each request.

extension Session {
    /// Corresponds to `pread(2)`. Read until full: a short answer means the end of the file to the
    /// kernel, and it would shorten a cached file.
    func read(
        _ request: UnsafeRawBufferPointer, _ header: fuse_in_header, _ thread: RequestThread
    ) {
        let input = request.load(fromByteOffset: 40, as: fuse_read_in.self)
        let reply = DataReply(device: device, unique: header.unique)
        guard files.holds(input.fh) else { return reply.fail(.staleNFSFileHandle) }
        // The mount has max_read, which the kernel keeps to; the buffer ends here all the same.
        guard input.size <= Session.payload else { return reply.fail(.invalidArgument) }
        if input.size >= RequestThread.leastPiped, answersByPages(input, reply, thread) {
            return reply.isAnswered()
        }
        let buffer = UnsafeMutableRawBufferPointer(rebasing: thread.answer[..<Int(input.size)])
        let outcome = files.with(input.fh) { file in
            let path = file.path(
                input.flags, input.offset, input.size, least: OpenFile.leastDirectRead)
            return file.image.read(into: buffer, at: input.offset, through: path)
        }
        switch outcome {
        case .success(let count): reply.data(after: thread.answerHeader, count: count)
        case .failure(let error): reply.fail(error)
        }
    }

    /// Answers a large read with the pages of the source's cache: one copy instead of two. False
    /// where that cannot be, at the end of the file for one. Only of filesystems whose pages stay
    /// readable whatever becomes of a write: an answer with one that does not is an error for the
    /// guest.
    private func answersByPages(
        _ input: fuse_read_in, _ reply: borrowing DataReply, _ thread: RequestThread
    ) -> Bool {
        let count = Int(input.size)
        guard let pipe = thread.pipe, pipe.isUsable,
            pipe.hasRoom(forHeadAnd: count, at: input.offset)
        else { return false }
        func path(_ file: OpenFile) -> DataPath {
            file.path(input.flags, input.offset, input.size, least: OpenFile.leastDirectRead)
        }
        let mayBe = files.with(input.fh) { $0.image.givesPages && path($0).usesCache }
        guard mayBe else { return false }
        return reply.pages(count, by: pipe, thread.answer) {
            files.with(input.fh) { file in
                file.image.readPages(count, into: pipe, at: input.offset, through: path(file))
            }
        }
    }

    /// Corresponds to `pwrite(2)`; the shim tracks it.
    func write(_ request: UnsafeRawBufferPointer, _ header: fuse_in_header) {
        let input = request.load(fromByteOffset: 40, as: fuse_write_in.self)
        let payload = UnsafeRawBufferPointer(
            rebasing: request[RequestThread.headerSize...].prefix(Int(input.size)))
        guard files.holds(input.fh) else {
            return DataReply(device: device, unique: header.unique).fail(.staleNFSFileHandle)
        }
        // Not in `with`: the guest may be answered, and close its file, while this thread still
        // waits for a twin.
        let late = files.with(input.fh) { file -> (Forward, LateReply)? in
            let reply = DataReply(device: device, unique: header.unique)
            if input.write_flags & CFUSE_WRITE_KILL_SUIDGID != 0 { clearSetID(of: file.node) }
            let path = file.path(
                input.flags, input.offset, input.size, least: OpenFile.leastDirectWrite)
            switch file.image.write(payload, at: input.offset, through: path) {
            case .done(let count): reply.written(count)
            case .failed(let error): reply.fail(error)
            case .held: HeldWrite(LateReply(reply), payload, input.offset, file, path).wait()
            case .forwarded(let forward): return (forward, LateReply(reply))
            }
            return nil
        }
        if let (forward, reply) = late { finish(forward, payload, reply) }
    }

    /// May wait for a twin; the mount's end does not wait for that.
    private func finish(_ forward: Forward, _ data: UnsafeRawBufferPointer, _ reply: LateReply) {
        if threads.live.leavesForTarget() { life.ended.open() }
        reply.answer(after: forward, of: data)
        threads.live.isBackFromTarget()
    }

    /// A write by someone who may not keep them takes the set-id bits away. The daemon may keep
    /// them, so the backing filesystem does not do it by itself.
    private func clearSetID(of node: Node) {
        guard node.hasSetID.load(ordering: .relaxed) else { return }
        guard let attributes = try? node.attributes(), attributes.hasSetID else { return }
        try? node.descriptor.setPermissions(attributes.permissionsAfterWrite)
    }
}
