import MirrorCore
import MirrorImage
import Synchronization

// On the job's queue: the sizes of the twins.

extension Copier {
    var isLengthDirty: Bool { job.members.contains { $0.table.isLengthDirty } }

    /// Gives the twins the sizes of their images. Nothing is being copied, and nothing is taken
    /// until it is done.
    func copyLengths() {
        job.standing.forget()
        let changed = job.members.filter { $0.table.isLengthDirty }
        for member in changed { member.beginResize() }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        job.onClerk(.size) {
            changed.map { member -> Member.Failure? in
                do throws(Member.Failure) { try member.giveTwinItsSize() } catch { return error }
                return nil
            }
        } then: { [self] failures in
            for (member, failure) in zip(changed, failures) {
                if failure != nil { _ = member.table.markLength() }
                member.endResize()
                guard let failure else { continue }
                job.trouble.fail(failure.side, failure.error, member, in: .size)
            }
            if failures.allSatisfy({ $0 == nil }) { job.trouble.succeeded(.size) }
        }
    }
}
