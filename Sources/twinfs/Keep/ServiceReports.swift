import MirrorSystem
import SystemPackage

/// What a keeper tells the service manager that started it (sd_notify(3)), and the descriptors that
/// it leaves there against its own death. Does nothing where nobody listens.
struct ServiceReports {
    private var manager = ServiceManager()
    private var status = ""
    private var nextPing: Int?
    /// Whether the worker has answered since the last ping.
    private var hasAnswered = true

    /// Milliseconds between two pings of the worker: at least two in the time after which the
    /// manager takes the service for hung.
    private var interval: Int {
        let watchdog = manager?.watchdog.map { $0 / 2000 / 2 }
        return max(100, min(watchdog ?? 10_000, 10_000))
    }

    /// When `tick` has something to do, on `SteadyClock`.
    var nextTime: Int? {
        guard let manager else { return nil }
        let retry = manager.hasWaiting ? SteadyClock.milliseconds + 100 : Int.max
        return min(nextPing ?? Int.max, retry)
    }

    mutating func isReady() {
        manager?.say("READY=1\nMAINPID=\(ThisProcess.id)")
        ping()
    }

    private mutating func ping() {
        guard manager != nil, nextPing == nil else { return }
        nextPing = SteadyClock.milliseconds
    }

    mutating func isStopping() { manager?.say("STOPPING=1") }

    mutating func holds(_ file: FileDescriptor, _ name: String, replaces: Bool) {
        if replaces { released(name) }
        // FDPOLL=0: a descriptor that reports an error is not the manager's to drop.
        manager?.say("FDSTORE=1\nFDNAME=\(name)\nFDPOLL=0", passing: file)
    }

    mutating func released(_ name: String) { manager?.say("FDSTOREREMOVE=1\nFDNAME=\(name)") }

    /// Another keeper has died, whose descriptors the manager may still have: it sees which those
    /// are. Nothing is removed, since it may be about to end this keeper and the worker too.
    mutating func adopted(_ held: [String: FileDescriptor]) {
        for name in HeldName.inOrder(held.keys) {
            if let file = held[name] { holds(file, name, replaces: false) }
        }
        isReady()
    }

    /// The mount is gone: nothing is to be found by the next start. Waits a while for a manager
    /// that is busy.
    mutating func ends(_ names: some Sequence<String>) {
        for name in names { released(name) }
        for _ in 0..<500 where manager?.hasWaiting == true {
            SteadyClock.sleep(milliseconds: 10)
            manager?.flush()
        }
    }

    mutating func workerAnswered(_ text: String) {
        hasAnswered = true
        guard text != status else { return }
        status = text
        manager?.say("STATUS=\(text.split(separator: "\n").first ?? "")")
    }

    /// Pings the worker when it is time. The manager gets its sign of life only while the worker
    /// answers, or is being replaced: not for one that was ended for being late and does not go
    /// away.
    mutating func tick(_ worker: RunningWorker?) {
        guard manager != nil else { return }
        manager?.flush()
        let now = SteadyClock.milliseconds
        guard let due = nextPing, now >= due else { return }
        nextPing = now + interval
        let isAlive = worker.map { hasAnswered && $0.lateness == nil } ?? true
        if manager?.watchdog != nil, isAlive { manager?.say("WATCHDOG=1") }
        guard let worker, worker.isReady else {
            hasAnswered = true
            return
        }
        hasAnswered = false
        worker.send(.ping)
    }
}
