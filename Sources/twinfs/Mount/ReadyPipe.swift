import MirrorCore
import MirrorSystem
import SystemPackage

/// How a daemon tells the program that started it whether the mount is usable: `ready`, or the exit
/// code and the message. A pipe that closes without either means that the daemon died.
struct ReadyPipe {
    /// The daemon's end.
    let end: FileDescriptor

    func sayReady() { send("ready") }

    func say(_ failure: Failure) { send("\(failure.reason.rawValue) \(failure.message)") }

    private func send(_ text: String) {
        _ = try? end.writeAll(Array(text.utf8))
        try? end.close()
    }

    /// Starts this program anew with `arguments` for its mount command, and returns when that mount
    /// is usable.
    static func startDaemon(_ arguments: [[UInt8]]) throws {
        let pipe = try FileDescriptor.closeOnExecPipe()
        let words = ["twinfs", "mount", "--ready-descriptor", "\(pipe.writeEnd.rawValue)"]
        let daemon = try ChildProcess(
            OwnProgram.path, words.map { Array($0.utf8) } + arguments, inherited: pipe.writeEnd)
        try pipe.writeEnd.close()
        let answer = String(decoding: try pipe.readEnd.rest(), as: UTF8.self)
        if answer == "ready" { return }
        throw failure(answer, try daemon.wait())
    }

    private static func failure(_ answer: String, _ end: ChildProcess.End) -> Failure {
        let words = answer.split(separator: " ", maxSplits: 1)
        if words.count == 2, let code = Int32(words[0]), let reason = ExitReason(rawValue: code) {
            return Failure(reason, String(words[1]))
        }
        return Failure(
            .daemonDied,
            "the daemon ended before the mount was usable (\(end)); run with -f to see why")
    }
}

/// The program that runs.
enum OwnProgram {
    /// The very file that runs, also when another one has its name now.
    static let link = "/proc/self/exe"

    /// By its own name, which `ps` then shows, and whatever file has that name now; through /proc
    /// where none has.
    static var path: String {
        guard var path = FilePath(link).linkDestination()?.string else { return link }
        // What the kernel adds to the name of a file that was replaced.
        let deleted = " (deleted)"
        if path.hasSuffix(deleted), (try? FilePath(path).status()) == nil {
            path.removeLast(deleted.count)
        }
        return (try? FilePath(path).status()) == nil ? link : path
    }
}
