internal import Glibc

/// A number of permissions to go on, each for one thread. Corresponds to `sem_overview(7)`.
///
/// `@unchecked Sendable`: the semaphore is made for many threads, and never moves.
public final class Semaphore: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    public init() { sem_init(semaphore, 0, 0) }

    /// Nobody may wait any more.
    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Takes a permission, or waits for one. Signals do not end it.
    public func wait() { while sem_wait(semaphore) == -1 {} }

    /// Gives a permission.
    public func signal() { sem_post(semaphore) }
}
