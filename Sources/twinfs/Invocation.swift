import ArgumentParser
import MirrorCore
import MirrorSystem
import SystemPackage

/// Why a command ends otherwise than well: what to print, and the exit code.
struct Failure: Error {
    let reason: ExitReason
    let message: String

    init(_ reason: ExitReason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    init(_ error: CommandError) { self.init(error.code.exitReason, error.message) }
}

/// One run of the program, from its arguments to its exit code.
enum Invocation {
    static func run() -> Never {
        DaemonProcess.ignoreBrokenPipes()
        do {
            let words = RawArgument.commandLine
            if let text = help(words) {
                Console.print(text, newline: false)
                leave(.success)
            }
            var command = try Twinfs.parseAsRoot(words)
            try command.run()
            leave(.success)
        } catch let failure as Failure {
            if !failure.message.isEmpty { Console.complain(failure.message) }
            leave(failure.reason)
        } catch let error as CommandError {
            Console.complain(error.message)
            leave(error.code.exitReason)
        } catch {
            Twinfs.exit(withError: error)
        }
    }

    /// What `help TOPIC` prints; nil for any other command, `help SUBCOMMAND` too.
    private static func help(_ words: [String]) -> String? {
        if words == ["help", "parameters", "--markdown"] {
            return Parameter.all.map { $0.markdown + "\n" }.joined()
        }
        guard words.count == 2, words[0] == "help" else { return nil }
        return HelpTopic(rawValue: words[1])?.text
    }

    static func leave(_ reason: ExitReason) -> Never {
        Twinfs.exit(withError: reason == .success ? nil : ExitCode(reason.rawValue))
    }
}

/// Output of commands. Failing to print is not an error: the reader may have gone.
enum Console {
    static func print(_ text: String, newline: Bool = true) {
        write(Array((newline ? text + "\n" : text).utf8), to: .standardOutput)
    }

    static func print(_ bytes: [UInt8]) { write(bytes, to: .standardOutput) }

    /// A line for people about what went wrong.
    static func complain(_ text: String) {
        write(Array("twinfs: \(text)\n".utf8), to: .standardError)
    }

    private static func write(_ bytes: [UInt8], to descriptor: FileDescriptor) {
        _ = try? descriptor.writeAll(bytes)
    }
}
