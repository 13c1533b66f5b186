import Logging
import MirrorCore
import MirrorFuse
import MirrorSystem
import SystemPackage

extension KeeperProcess {
    func startIfDue() {
        guard let due = nextStart, SteadyClock.milliseconds >= due else { return }
        nextStart = nil
        do throws(Errno) { try startWorker() } catch {
            log.error("cannot start a worker: \(error)")
            workerFailed("could not be started (\(error))", livedLong: false)
        }
    }

    /// Starts the program that is now at this one's path: that is how an upgrade gets in. One that
    /// dies twice before it serves is given up for this keeper's own program.
    private func startWorker() throws(Errno) {
        let (mine, its) = try PacketSocket.pair()
        defer { its.close() }
        let isFromPath = failedUpgrades < 2
        let words = ["twinfs", "mount-worker", "--socket", "\(its.descriptor.rawValue)"]
        do throws(Errno) {
            let child = try ChildProcess(
                isFromPath ? OwnProgram.path : OwnProgram.link,
                words.map { Array($0.utf8) } + mount.words, inherited: its.descriptor,
                errors: held["log"])
            worker = RunningWorker(
                mine, try ProcessHandle(child.id), isFromPath: isFromPath,
                patience: RunningWorker.patience(after: life.deathsInARow))
        } catch {
            mine.close()
            throw error
        }
        memory.predecessors = life.predecessors
        handOver()
    }

    private func handOver() {
        worker?.send(.life(life))
        for (name, file) in held { worker?.send(.keep(name), passing: file) }
        worker?.send(.endOfList)
    }

    /// What a worker says. `passed` is used up.
    func handle(_ message: KeeperMessage?, _ passed: FileDescriptor?) {
        if case .keep(let name) = message, let passed { return hold(passed, as: name) }
        try? passed?.close()
        switch message {
        case .drop(let name): release(name)
        case .ready: workerIsReady()
        case .failed(let code, let text): worker?.failure = (code, text)
        case .pong(let text): service.workerAnswered(text)
        case .goodbye(let reason): worker?.goodbye = reason
        default: break
        }
    }

    private func workerIsReady() {
        worker?.becameReady()
        failedUpgrades = 0
        if !wasReady {
            wasReady = true
            ready?.sayReady()
        }
        service.isReady()
        if isEnding { worker?.process.send(.terminate) }
    }

    /// The worker is gone, and its socket empty.
    func workerEnded(_ worker: RunningWorker) {
        // A last look: what it sent just before its death must be held before a successor starts.
        while let message = worker.nextMessage() { handle(message.0, message.1) }
        let end = worker.process.reap()
        worker.close()
        self.worker = nil
        let isGone = held["fuse"].map { Polling.isBroken($0) } ?? true
        if worker.goodbye == .unmounted {
            outcome = .success(())
            return
        }
        // Once INIT has come somebody may use the mount, although nobody was told that it is ready.
        if !wasReady, isGone || !(held["session"].map { MountServer.hasBegun($0) } ?? false) {
            return giveUp(worker, end)
        }
        if isGone, worker.failure != nil {
            log.error("the mount is gone, and its worker could not save its work")
            outcome = .failure(Failure(.failure, worker.failure?.text ?? ""))
            return
        }
        if worker.goodbye == .restart { return successor(worker) }
        died(worker, end)
    }

    private func successor(_ worker: RunningWorker) {
        life.predecessors += 1
        life.deathsInARow = 0
        life.lastEnd = "was asked to restart"
        nextStart = SteadyClock.milliseconds
        startIfDue()
        log.notice("keeper: the worker has made room for another one")
    }

    private func died(_ worker: RunningWorker, _ end: ChildProcess.End?) {
        if worker.isFromPath, !worker.isReady { failedUpgrades += 1 }
        let how =
            end.map(\.description)
            ?? "has died (it is not known how: another keeper had started it)"
        // Whoever sends SIGKILL, a person or the kernel short of memory, means this one and not the
        // next.
        let livedLong =
            SteadyClock.milliseconds - worker.started >= Backoff.soon
            || (worker.isReady && end?.isKill == true)
        let reason = worker.failure.map { "\(how): \($0.text)" } ?? worker.lateness ?? how
        workerFailed(reason, livedLong: livedLong && worker.lateness == nil)
    }

    func workerFailed(_ reason: String, livedLong: Bool) {
        life.predecessors += 1
        life.deathsInARow = livedLong ? 0 : life.deathsInARow + 1
        life.lastEnd = reason
        let pause = Backoff.pause(after: life.deathsInARow)
        nextStart = SteadyClock.milliseconds + pause
        let when = pause == 0 ? "now" : "in \(pause) ms"
        // Not before the start: nobody knows what a line in the log has to wait for.
        if pause == 0 { startIfDue() }
        log.error("keeper: the worker \(reason); starting another one \(when)")
    }

    /// The first worker never got to INIT: nobody can have used the mount.
    private func giveUp(_ worker: RunningWorker, _ end: ChildProcess.End?) {
        // With its device closed the mount answers with an error instead of waiting for a worker.
        release("fuse")
        try? Unmounting.unmount(mount.mountpoint)
        let how = worker.lateness ?? end.map(\.description) ?? "has died"
        let reason = worker.failure.flatMap { ExitReason(rawValue: $0.code) } ?? .daemonDied
        outcome = .failure(
            Failure(
                reason, worker.failure?.text ?? "the worker \(how) before the mount was usable"))
    }

    /// Takes over a worker that has lost its keeper.
    func adopt(_ socket: PacketSocket) throws {
        while true {
            guard let (bytes, passed) = try? socket.receive() else {
                throw Failure(
                    .daemonDied, "the worker has died before it had handed the mount over")
            }
            switch (KeeperMessage(bytes), passed) {
            case (.keep(let name), let file?): held[name] = file
            case (.drop(let name), _): release(name)
            case (.adopt(let id, let predecessors), let handle?):
                return adopt(socket, ProcessHandle(id, adopting: handle), Int(predecessors))
            default: try? passed?.close()
            }
        }
    }

    private func adopt(_ socket: PacketSocket, _ process: ProcessHandle, _ predecessors: Int) {
        life.predecessors = predecessors
        adoptMemory(isEnding: nil)
        memory.predecessors = predecessors
        worker = RunningWorker(socket, process, isFromPath: false, patience: 0)
        worker?.becameReady()
        wasReady = true
        worker?.send(.welcome(keeper: life.keeper))
        service.adopted(held)
        // The other keeper may have died before it could pass it on; a second time changes nothing.
        if isEnding { process.send(.terminate) }
        log.notice("keeper: took over worker \(process.id)")
    }
}
