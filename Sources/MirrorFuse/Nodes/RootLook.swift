import MirrorSystem
import Synchronization
import SystemPackage

/// What the source directory is like. Whoever goes to `.mirror` asks that first; so a source that
/// is itself served by somebody (NFS, FUSE) and hangs must not be waited for.
final class RootLook: Sendable {
    private static let patience = Duration.milliseconds(500)

    private let node: Node
    /// Leaf lock: nothing is called under it.
    private let state: Mutex<State>

    private struct State {
        var last: FileAttributes
        /// Looks that nobody waits for any more.
        var hanging = 0
    }

    init(_ node: Node, _ attributes: FileAttributes) {
        self.node = node
        state = Mutex(State(last: attributes))
    }

    /// The root's attributes as they are now, or as last seen if the source does not answer in
    /// time.
    func attributes() throws(Errno) -> FileAttributes {
        let (last, isHanging) = state.withLock { ($0.last, $0.hanging > 0) }
        if isHanging { return last }
        let look = PendingLook()
        let isStarted = PlainThread.start(stackSize: 128 << 10) { [self] in
            if look.ends(with: Self.result(of: node)) { state.withLock { $0.hanging -= 1 } }
        }
        if !isStarted { return try node.attributes() }
        if !look.done.wait(atMost: Self.patience), givesUp(look) { return last }
        let attributes = try look.result.get()
        state.withLock { $0.last = attributes }
        return attributes
    }

    /// False where the look has just ended.
    private func givesUp(_ look: PendingLook) -> Bool {
        state.withLock { $0.hanging += 1 }
        if look.giveUp() { return true }
        state.withLock { $0.hanging -= 1 }
        return false
    }

    private static func result(of node: Node) -> Result<FileAttributes, Errno> {
        do throws(Errno) { return .success(try node.attributes()) } catch { return .failure(error) }
    }
}

/// One look at the source directory.
private final class PendingLook: Sendable {
    let done = Latch()
    /// Leaf lock: nothing is called under it.
    private let state = Mutex(State())

    private struct State {
        var result: Result<FileAttributes, Errno>?
        var isGivenUp = false
    }

    /// Only after `done`.
    var result: Result<FileAttributes, Errno> { state.withLock { $0.result! } }

    /// Whether nobody waits for it any more.
    func ends(with result: Result<FileAttributes, Errno>) -> Bool {
        defer { done.open() }
        return state.withLock { state in
            state.result = result
            return state.isGivenUp
        }
    }

    /// Nobody waits for it any more. False where it has ended.
    func giveUp() -> Bool {
        state.withLock { state in
            if state.result == nil { state.isGivenUp = true }
            return state.isGivenUp
        }
    }
}
