package import Dispatch
import MirrorCore

extension Image {
    /// Runs `body` on `queue` at an instant when no change of the image is under way and none
    /// begins; then lets changes go on. For attaching and detaching trackers. Takes as long as the
    /// slowest change that is under way.
    package func quiesce(on queue: DispatchQueue, _ body: @escaping @Sendable () -> Void) {
        let moment = QuietMoment(image: self, queue: queue, body: body)
        gate.hold(by: moment) { moment.look() }
        moment.look()
    }

    /// Ends a hold and runs what it had parked.
    package func lift(by holder: AnyObject) {
        let parked = gate.lift(by: holder)
        if parked.isEmpty { return }
        replay.async {
            for retry in parked { retry() }
        }
    }
}

/// One use of `quiesce`.
///
/// `@unchecked Sendable`: `isDone` is touched on `queue` only.
private final class QuietMoment: @unchecked Sendable {
    private let image: Image
    private let queue: DispatchQueue
    private let body: @Sendable () -> Void
    private var isDone = false

    init(image: Image, queue: DispatchQueue, body: @escaping @Sendable () -> Void) {
        self.image = image
        self.queue = queue
        self.body = body
    }

    /// Looks whether the gauge is idle yet. Called whenever a change has left.
    func look() {
        queue.async { [self] in
            guard !isDone, image.gate.gauge.isIdle else { return }
            isDone = true
            body()
            image.lift(by: self)
        }
    }
}
