import Dispatch
import MirrorCore
import MirrorImage
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// Runs `pre-cut` and `post-cut`: `PROGRAM pre-cut JOB IMAGE…`, with the images' paths in the
/// mount. One at a time, in the order in which they were asked for; one that takes longer than it
/// may is killed with all that it started.
struct CutHook: Sendable {
    enum Name: String, Sendable {
        case preCut = "pre-cut"
        case postCut = "post-cut"
    }

    /// Serial: a `post-cut` comes after its `pre-cut` has ended.
    private let queue = DispatchQueue(label: "twinfs.hook", qos: .userInitiated)
    let timeout: Duration

    /// - Parameter done: called on the hook's queue with nil, or with what went wrong in words.
    func run(
        _ name: Name, _ program: [UInt8], _ arguments: [[UInt8]],
        done: @escaping @Sendable (String?) -> Void
    ) {
        queue.async {
            let failure = failure(program, [program, Array(name.rawValue.utf8)] + arguments)
            done(failure.map { "\(name.rawValue) \(NameText.shown(program)) \($0)" })
        }
    }

    /// Calls `body` once everything that was asked for has been run.
    func afterAll(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

    private func failure(_ program: [UInt8], _ arguments: [[UInt8]]) -> String? {
        do throws(Errno) {
            let child = try ChildProcess(
                String(decoding: program, as: UTF8.self), arguments, inOwnGroup: true)
            let deadline = ContinuousClock.now + timeout
            while ContinuousClock.now < deadline {
                if let end = try child.poll() { return Self.words(end) }
                PlainThread.sleep(.milliseconds(5))
            }
            child.killGroup()
            _ = try child.wait()
            return "took longer than cut-timeout=\(Int(timeout / .milliseconds(1))) and was ended"
        } catch {
            return "could not be run: \(error)"
        }
    }

    private static func words(_ end: ChildProcess.End) -> String? {
        switch end {
        case .exited(0): nil
        case .exited(let code): "failed with exit code \(code)"
        case .signalled(let signal): "was ended by signal \(signal)"
        }
    }
}
