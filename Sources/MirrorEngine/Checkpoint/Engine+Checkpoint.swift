import Dispatch
import MirrorCore
import MirrorImage
import MirrorJob
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

extension Engine {
    /// Makes a checkpoint, or forgets one; on a queue of its own, as an image may take its time.
    func checkpoint(
        _ path: FilePath, _ name: String, delete: Bool, _ reply: @escaping CommandReply
    ) {
        let queue = DispatchQueue(label: "twinfs.checkpoint", qos: .utility)
        queue.async { [self] in
            do throws(CommandError) {
                if delete {
                    try forget(path, name, on: queue, reply)
                } else {
                    try make(path, name, on: queue, reply)
                }
            } catch {
                reply(CommandResult(error))
            }
        }
    }

    private func make(
        _ path: FilePath, _ name: String, on queue: DispatchQueue, _ reply: @escaping CommandReply
    ) throws(CommandError) {
        let opened = try OpenedImage(path, self)
        do throws(CommandError) {
            try checkpoints.reserve(opened.image, name)
        } catch {
            opened.close(self)
            throw error
        }
        let stub = CheckpointStub(
            id: RandomID.make(), image: shown(path), name: name, created: WallClock.now.seconds)
        let checkpoint = Checkpoint(stub, opened, table(of: stub, opened).table)
        opened.image.quiesce(on: queue) { [self] in
            checkpoint.attach(size: size(of: checkpoint))
            // Changes go on before anything is written to a disk.
            queue.async { self.made(checkpoint, reply) }
        }
    }

    /// Where a checkpoint's changes are marked; a worker's that was there before, if it left one.
    func table(
        of stub: CheckpointStub, _ opened: OpenedImage
    ) -> (table: DirtyTable, origin: DirtyTable.Origin) {
        DirtyTable.kept(
            stub.tableName, granularity: .standard, gauge: opened.image.gate.gauge,
            keeper: keeper, log: log, owner: opened.image.identity.inode)
    }

    private func made(_ checkpoint: Checkpoint, _ reply: @escaping CommandReply) {
        checkpoints.add(checkpoint)
        let path = shown(checkpoint.image.path)
        do throws(Errno) {
            try checkpoints.save()
        } catch {
            drop(checkpoint)
            return reply(
                CommandResult(
                    CommandError(
                        .io,
                        "checkpoint \(checkpoint.name) of \(path): cannot be kept in the state directory:"
                            + " \(error); look at its disk")))
        }
        // Its last name went away before it was in the list. Of a switched image this is the twin's
        // file.
        let isOwnFile = servingPath(of: checkpoint.image) == nil
        if isOwnFile, (try? checkpoint.opened.source.status().links) == 0 {
            deleted(checkpoint.image.identity)
        }
        reply(CommandResult(ok: "\(path): checkpoint \(checkpoint.name) made"))
    }

    private func forget(
        _ path: FilePath, _ name: String, on queue: DispatchQueue,
        _ reply: @escaping CommandReply
    ) throws(CommandError) {
        let found = checkpoints.all.first { $0.image.path == path && $0.name == name }
        guard found != nil || checkpoints.removeUnplaced(path, name) else {
            throw unknownCheckpoint(name, path)
        }
        let done: @Sendable () -> Void = { [self] in
            // What was answered must not be undone by a restart.
            checkpoints.saveSoon {
                reply(CommandResult(ok: "\(shown(path)): checkpoint \(name) forgotten"))
            }
        }
        if let found { drop(found, then: done) } else { done() }
    }

    func unknownCheckpoint(_ name: String, _ path: FilePath) -> CommandError {
        CommandError(
            .unknownImage,
            "checkpoint \(name): \(shown(path)) has none of that name; those there are stand in"
                + " .mirror/checkpoints/, and make one: checkpoint \(shown(path)) \(name)")
    }

    /// Stops tracking for a checkpoint; the image is not used for it any more when `done` is
    /// called.
    func drop(_ checkpoint: Checkpoint, then done: @escaping @Sendable () -> Void = {}) {
        checkpoints.remove(checkpoint)
        guard checkpoint.giveUp() else { return done() }
        // Before a change is missed.
        keeper.drop(checkpoint.stub.tableName)
        let queue = DispatchQueue(label: "twinfs.checkpoint", qos: .utility)
        checkpoint.image.quiesce(on: queue) { [self] in
            checkpoint.detach()
            queue.async {
                checkpoint.opened.close(self)
                done()
            }
        }
    }

    /// The image has no name any more.
    func dropCheckpoints(of identity: FileIdentity) {
        let dropped = checkpoints.all.filter { $0.image.identity == identity }
        if dropped.isEmpty { return }
        for checkpoint in dropped { drop(checkpoint) }
        checkpoints.saveSoon()
    }

    /// Bytes of the image now. A device that serves it may be larger.
    func size(of checkpoint: Checkpoint) -> UInt64 {
        guard let status = try? checkpoint.opened.source.status() else { return 0 }
        guard status.kind == .blockDevice else { return status.size }
        return serving.backing(of: checkpoint.image.identity)?.length ?? 0
    }

    /// The checkpoint that a job starts from; nil where it starts from none.
    func checkpoint(
        of image: Image, _ parameters: JobParameters
    ) throws(CommandError) -> Checkpoint? {
        guard parameters.sync == .incremental, let name = parameters.checkpoint else { return nil }
        guard let checkpoint = checkpoints.find(image, name), checkpoint.isKept else {
            throw unknownCheckpoint(name, image.path)
        }
        return checkpoint
    }
}
