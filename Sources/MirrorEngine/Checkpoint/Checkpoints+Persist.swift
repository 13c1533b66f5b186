import Dispatch
import Logging
import MirrorCore
import MirrorImage
import MirrorJob
import MirrorState
import MirrorSystem
import MirrorTarget
import Synchronization
import SystemPackage

// What is kept over the end of a mount. That there is a checkpoint is saved at once; what changed
// since only when the mount ends in order, and it is believed by one mount only: the file is gone
// before anybody can write (docs/state.md).

extension Checkpoints {
    /// Saves which checkpoints there are. Nothing is kept where there is no state directory.
    func save() throws(Errno) {
        guard let directory else { return }
        let failure = saving.sync { () -> Errno? in
            let stubs = state.withLock { ($0.all.map(\.stub), $0.unplaced) }
            let list = CheckpointList(stubs.0 + stubs.1)
            do throws(Errno) {
                try directory.replace(CheckpointList.name, with: list.bytes)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Saves the list on a queue of its own; a failure is told in the log.
    func saveSoon(then done: @escaping @Sendable () -> Void = {}) {
        DispatchQueue.global(qos: .utility).async { [self] in
            do throws(Errno) { try save() } catch {
                log.error("cannot save which checkpoints there are: \(error)")
            }
            done()
        }
    }

    /// A name was given to a file or directory in the mount; images know theirs already.
    func renamed(from old: FilePath, to new: FilePath) {
        let isConcerned = state.withLock { state in
            var isMoved = false
            for index in state.unplaced.indices {
                guard let path = state.unplaced[index].imagePath.moved(from: old, to: new) else {
                    continue
                }
                state.unplaced[index].image = shown(path)
                isMoved = true
            }
            return isMoved || state.all.contains { $0.image.path.starts(with: new) }
        }
        if isConcerned { saveSoon() }
    }

    /// Saves what changed since a checkpoint, durably, for the next mount. Nobody writes the image
    /// any more.
    fileprivate func saveMarks(_ checkpoint: Checkpoint) throws(Errno) {
        guard let directory else { return }
        let source = checkpoint.opened.source
        // A power failure must not leave the old bytes under the times of the new ones.
        try source.synchronize()
        let marks = CheckpointExtents(checkpoint, try source.status())
        try directory.replace(CheckpointExtents.name(checkpoint.id), with: marks.bytes)
    }

    /// What the last mount saved of a checkpoint; it is gone from the disk when this returns. Nil
    /// where there is nothing, or nothing that can be believed.
    fileprivate func takeMarks(_ stub: CheckpointStub) -> CheckpointExtents? {
        guard let directory else { return nil }
        let name = CheckpointExtents.name(stub.id)
        do throws(Errno) {
            guard let bytes = try directory.read(name) else { return nil }
            try directory.remove(name)
            return CheckpointExtents(bytes, id: stub.id)
        } catch {
            log.error("checkpoint \(stub.name) of \(stub.image): \(error)")
            return nil
        }
    }

    fileprivate func list() -> [CheckpointStub] {
        guard let directory else { return [] }
        let bytes: [UInt8]?
        do throws(Errno) { bytes = try directory.read(CheckpointList.name) } catch {
            distrust("\(error)")
            return []
        }
        guard let bytes else { return [] }
        if let list = CheckpointList(bytes) { return list.checkpoints }
        distrust("it is damaged, or of another version")
        return []
    }

    private func distrust(_ reason: String) {
        let path = directory.map { shown($0.path.appending(CheckpointList.name)) } ?? ""
        let text =
            "\(path): cannot be used, \(reason); earlier checkpoints are lost, make new ones"
        state.withLock { $0.distrust = text }
        log.error("\(text)")
    }
}

extension Engine {
    /// Before the mount is usable: the checkpoints of earlier ones go on.
    func loadCheckpoints() {
        let stubs = checkpoints.list()
        dropTables(except: stubs)
        for stub in stubs {
            let marks = checkpoints.takeMarks(stub)
            do throws(CommandError) {
                load(stub, marks, try OpenedImage(stub.imagePath, self))
            } catch {
                log.error("checkpoint \(stub.name): \(error.message)")
                // Nobody marks what changes from here on.
                keeper.drop(stub.tableName)
                checkpoints.state.withLock { $0.unplaced.append(stub) }
            }
        }
    }

    /// Tables of a worker that was there before, and of checkpoints that are not.
    private func dropTables(except stubs: [CheckpointStub]) {
        let names = Set(stubs.map(\.tableName))
        for name in keeper.inheritedNames
        where name.hasPrefix(CheckpointStub.tablePrefix) && !names.contains(name) {
            keeper.drop(name)
        }
    }

    /// Nobody can write yet, so nothing has to be held.
    private func load(_ stub: CheckpointStub, _ marks: CheckpointExtents?, _ opened: OpenedImage) {
        let status = try? opened.source.status()
        let isSame = marks.flatMap { marks in status.map { marks.fits($0) } } ?? false
        let (table, origin) = table(of: stub, opened)
        let isInherited = origin == .inherited
        let checkpoint = Checkpoint(
            stub, opened, table,
            isComplete: isInherited || isSame && marks?.complete == true)
        if let marks, isSame, !isInherited {
            for range in marks.ranges { checkpoint.table.markUncounted(range) }
        }
        let size = size(of: checkpoint)
        if !checkpoint.isComplete { checkpoint.markAll(size) }
        checkpoint.attach(size: size)
        checkpoints.add(checkpoint)
    }

    /// The mount ends, and no image is open: what changed is saved for the next one.
    func saveCheckpoints(patience: Duration) {
        let all = checkpoints.all
        if all.isEmpty { return }
        let group = DispatchGroup()
        let queue = DispatchQueue(label: "twinfs.checkpoint", qos: .utility)
        for checkpoint in all {
            queue.async(group: group) { [self] in
                do throws(Errno) { try checkpoints.saveMarks(checkpoint) } catch {
                    log.error("checkpoint \(checkpoint.name): what changed is not kept: \(error)")
                }
            }
        }
        // Filesystems count time in ticks: a later change must not get the same.
        queue.async(group: group) { PlainThread.sleep(.milliseconds(20)) }
        let milliseconds = Int(patience / .milliseconds(1))
        _ = group.wait(timeout: .now() + .milliseconds(milliseconds))
        letCheckpointsGo()
    }

    /// Gives the images back; the checkpoints stay on the disk as they are.
    func letCheckpointsGo() {
        let group = DispatchGroup()
        for checkpoint in checkpoints.all {
            group.enter()
            drop(checkpoint) { group.leave() }
        }
        _ = group.wait(timeout: .now() + .seconds(5))
    }
}
