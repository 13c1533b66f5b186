import MirrorCore
import MirrorEngine
import MirrorSystem
import MirrorTarget
import SystemPackage

extension Mounted {
    /// Gives the mount one command; its `ok …` words.
    ///
    /// A command may take long (the last copy of a `complete`), a mount that hangs takes forever:
    /// while no answer comes, the status must still be readable.
    func execute(_ line: String) throws -> String {
        let control = file("control")
        return try TimeLimit.run(
            late: {
                do {
                    _ = try report()
                    return nil
                } catch {
                    return Mounted.noAnswer(shown)
                }
            },
            asking: { try Self.execute(line, control) })
    }

    private static func execute(_ line: String, _ path: FilePath) throws -> String {
        let control = try open(path)
        defer { try? control.close() }
        do throws(Errno) { try control.writeAtOnce(Array(line.utf8)) } catch {
            let words = reply(control)
            throw CommandError(reply: words)
                ?? CommandError(.io, words.isEmpty ? "\(error)" : words)
        }
        return reply(control)
    }

    private static func open(_ path: FilePath) throws -> FileDescriptor {
        do throws(Errno) { return try FileDescriptor.openBacking(path, .readWrite) } catch {
            let shown = NameText.shown(path.bytes)
            switch error {
            case .permissionDenied, .notPermitted:
                throw Failure(
                    .notPermitted,
                    "\(shown): only the mount's owner (and control_group=) may give commands; try sudo"
                )
            default: throw Failure(.failure, "\(shown): \(error)")
            }
        }
    }

    /// The line that the handle gives after its write, from its beginning.
    private static func reply(_ control: FileDescriptor) -> String {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count =
            (try? buffer.withUnsafeMutableBytes { try control.readSome(into: $0, at: 0) }) ?? 0
        let line = buffer.prefix(count).prefix { $0 != UInt8(ascii: "\n") }
        return String(decoding: line, as: UTF8.self)
    }
}
