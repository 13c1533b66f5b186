import Dispatch
import Logging
import MirrorCore
import MirrorJob
import MirrorSystem
import MirrorTarget
import Synchronization

// What the program tells of the processes that keep and serve the mount.

/// Warnings of the program, and what it does for `restart`.
struct ProcessNotices: ~Copyable, Sendable {
    /// By what they are about; leaf.
    let warnings = Mutex<[String: String]>([:])
    /// Leaf.
    let restart = Mutex<(@Sendable () -> Void)?>(nil)
    /// Why `restart` is refused; leaf.
    let restartRefusal = Mutex<String?>(nil)
}

extension Engine {
    /// Puts a line about `subject` into the status, instead of an earlier one; nil takes it out.
    package func warn(of subject: String, _ warning: String?) {
        notices.warnings.withLock { $0[subject] = warning }
    }

    var processWarnings: [String] {
        notices.warnings.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// What the command `restart` does after it was answered: ends this worker such that another
    /// one takes the mount over.
    package func setRestart(_ action: @escaping @Sendable () -> Void) {
        notices.restart.withLock { $0 = action }
    }

    /// Has `restart` refused, in these words.
    package func refuseRestart(_ words: String) {
        notices.restartRefusal.withLock { $0 = words }
    }

    func restart(_ reply: @escaping CommandReply) throws(CommandError) {
        guard keeper.process != nil else { throw Self.noKeeper }
        restart(looks: 250, reply)
    }

    private static let noKeeper = CommandError(
        .notSupported, "restart: no keeper holds the mount, which would end with this worker")

    /// A worker that has just taken over may be asked before it has said what to do then: it is
    /// waited for, for five seconds at most.
    private func restart(looks: Int, _ reply: @escaping CommandReply) {
        if let words = notices.restartRefusal.withLock({ $0 }) {
            return reply(CommandResult(CommandError(.notSupported, "restart: \(words)")))
        }
        if let action = notices.restart.withLock({ $0 }) {
            reply(CommandResult(ok: "restarting generation \(keeper.predecessors + 1)"))
            return action()
        }
        guard looks > 0 else { return reply(CommandResult(Self.noKeeper)) }
        DispatchQueue.global(qos: .userInitiated).asyncAfter(deadline: .now() + .milliseconds(20)) {
            self.restart(looks: looks - 1, reply)
        }
    }

    /// Tells that this worker has taken the mount over.
    ///
    /// - Parameter reason: how its predecessor has ended.
    package func workerRestarted(reason: String) {
        events.append(
            word: "TWINFS_WORKER_RESTARTED", reason: reason, generation: keeper.predecessors + 1)
        log.notice("generation \(keeper.predecessors + 1) serves: the one before \(reason)")
    }

    /// Tells that this worker has a new keeper.
    package func keeperRestarted() {
        events.append(
            word: "TWINFS_KEEPER_RESTARTED", reason: "the keeper has died",
            generation: keeper.predecessors + 1)
        log.notice("another keeper was started")
    }

    /// The mount in a line of at most 1,000 characters, for a service manager, whose datagrams have
    /// 4 KiB.
    package var summary: String {
        let all = jobs.all.map { $0.report() }
        let live = all.filter { !$0.phase.isOver }
        let ready = live.filter(\.ready).count
        let failing = live.filter { $0.error != nil }.count
        let text =
            "serving \(shown(configuration.mountpoint)): \(live.count) jobs, \(ready) ready"
            + (failing == 0 ? "" : ", \(failing) with an error")
        return String(([text] + processWarnings).joined(separator: "; ").prefix(1000))
    }
}
