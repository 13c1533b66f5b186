import MirrorCore
import MirrorJob
import MirrorSystem
import Synchronization

/// The jobs of a mount in the order in which they were started; ended ones until they are
/// dismissed.
final class JobRegistry: Sendable {
    /// Protects the list. Leaf lock.
    private let jobs = Mutex<[Job]>([])
    /// Those that had ended before this worker, oldest first, until they are dismissed. Leaf lock.
    private let earlier = Mutex<[EndedJob]>([])

    /// A job of which only its end is left.
    struct EndedJob: Sendable {
        let uuid: String
        let id: [UInt8]
        let report: JobReport
        /// Whether it ended before this mount began.
        let isOfEarlierMount: Bool
    }

    var ended: [EndedJob] { earlier.withLock { $0 } }
    func add(_ job: EndedJob) { earlier.withLock { $0.append(job) } }
    func remove(_ job: EndedJob) { earlier.withLock { $0.removeAll { $0.uuid == job.uuid } } }

    /// Takes out what earlier mounts have left under this id: a new job of that name replaces it.
    func takeReplaced(by id: [UInt8]) -> [EndedJob] {
        earlier.withLock { earlier in
            let isReplaced: (EndedJob) -> Bool = { $0.isOfEarlierMount && $0.id == id }
            defer { earlier.removeAll(where: isReplaced) }
            return earlier.filter(isReplaced)
        }
    }

    /// The one that `name` means.
    func ended(_ name: [UInt8]) -> EndedJob? { ended.last { $0.id == name } }

    var all: [Job] { jobs.withLock { $0 } }

    /// Adds the job that `make` builds for a free id: the image's path, or that with `#2` and so
    /// on.
    func add(_ path: [UInt8], _ make: (_ id: [UInt8]) -> Job) -> Job {
        let earlier = Set(ended.map(\.id))
        return jobs.withLock { jobs in
            var (id, number) = (path, 1)
            while earlier.contains(id) || jobs.contains(where: { $0.id == id }) {
                number += 1
                id = path + Array("#\(number)".utf8)
            }
            let job = make(id)
            forgetOldest(&jobs)
            jobs.append(job)
            return job
        }
    }

    /// Adds a job that comes back under its own id.
    func add(_ job: Job) { jobs.withLock { $0.append(job) } }

    /// Ended jobs that are kept without being dismissed; the oldest beyond that are forgotten.
    static let mostEnded = 1000

    private func forgetOldest(_ jobs: inout [Job]) {
        guard jobs.count(where: \.hasEnded) > Self.mostEnded,
            let oldest = jobs.firstIndex(where: \.hasEnded)
        else { return }
        jobs.remove(at: oldest)
    }

    func remove(_ job: Job) { jobs.withLock { $0.removeAll { $0 === job } } }

    /// The job that a person means by `name`: the live one of that id, or of the image that has
    /// that path now (the first such job); else the ended one of that id.
    func find(_ name: [UInt8]) -> Job? {
        let all = all
        let live = all.filter { !$0.hasEnded }
        return live.first { $0.id == name } ?? live.first { $0.mirrors(name) }
            ?? all.last { $0.id == name } ?? all.last { $0.mirrors(name) }
    }

    /// The job of exactly this id.
    func exactly(_ id: [UInt8]) -> Job? { all.first { $0.id == id } }
}
