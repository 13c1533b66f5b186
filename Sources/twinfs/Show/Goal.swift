import ArgumentParser
import MirrorCore

/// What is waited for.
enum Goal: String, CaseIterable, ExpressibleByArgument {
    /// The twin was in sync at least once, and is kept so.
    case ready
    /// The twin was cut: it equals a past state of the source and is on stable storage.
    case completed
    /// The job ended, however.
    case ended

    /// How the waiting ends for a job; nil while it goes on.
    func outcome(_ job: JobReport) -> ExitReason? {
        switch job.phase {
        case .completed: return .success
        case .failed: return self == .ended ? .success : .jobFailed
        case .cancelled: return self == .ended ? .success : .jobCancelled
        case .created, .bulk, .ready, .completing: break
        }
        if self == .ready, job.ready { return .success }
        // Stopped by an error: nothing will happen until somebody resumes it.
        return job.paused && job.error != nil ? .jobFailed : nil
    }

    /// How it ends for all: the first that is no success, once every job has an outcome or one
    /// failed.
    func outcome(_ jobs: [JobReport]) -> ExitReason? {
        let outcomes = jobs.map { outcome($0) }
        if let bad = outcomes.compactMap(\.self).first(where: { $0 != .success }) { return bad }
        return outcomes.contains { $0 == nil } ? nil : .success
    }
}
