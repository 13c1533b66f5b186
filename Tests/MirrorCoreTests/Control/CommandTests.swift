import MirrorCore
import Testing

@Suite("Commands")
struct CommandTests {
    func parse(_ line: String) throws -> Command { try Command.parse(Array(line.utf8)) }
    let vm = Array("vm1.img".utf8)

    @Test("mirror takes an image and parameters")
    func mirror() throws {
        var parameters = JobParameters()
        parameters.target = Array("/backup/vm 1.img".utf8)
        parameters.speed = 1 << 20
        let line = "mirror vm1.img target=\"/backup/vm 1.img\" speed=1M\n"
        #expect(try parse(line) == .mirror(images: [vm], parameters: parameters))
    }

    @Test("every other verb takes a job")
    func others() throws {
        #expect(try parse("pause vm1.img") == .pause(vm))
        #expect(try parse("resume vm1.img") == .resume(vm))
        #expect(try parse("dismiss vm1.img#2") == .dismiss(Array("vm1.img#2".utf8)))
        #expect(try parse("cancel vm1.img") == .cancel(vm, force: false))
        #expect(try parse("cancel vm1.img force=on") == .cancel(vm, force: true))
        #expect(try parse("cancel force=off vm1.img") == .cancel(vm, force: false))
        #expect(try parse("complete vm1.img switch=off") == .complete(vm, switchOver: false))
        #expect(
            try parse("set vm1.img speed=0 max-pause=5") == .set(vm, [.speed(0), .maxPause(5)]))
        #expect(
            try parse("set vm1.img on-source-error=stop on-target-error=report")
                == .set(vm, [.onSourceError(.stop), .onTargetError(.report)]))
    }

    @Test("a name of any bytes can be written")
    func names() throws {
        let name: [UInt8] = [0x61, 0xff, 0x0a, 0x3d, 0x20]
        #expect(try parse("pause " + ControlLine.quote(name)) == .pause(name))
    }

    @Test("a path is brought to its shortest form")
    func normalized() throws {
        #expect(try parse("pause ./a//b/./c") == .pause(Array("a/b/c".utf8)))
    }

    @Test(
        "each mistake has its own error",
        arguments: [
            ("", CommandError.Code.empty), (" \n", .empty), ("mirrr a", .unknownVerb),
            ("a=b", .unknownVerb), ("MIRROR a", .unknownVerb), ("pause", .badSyntax),
            ("pause a b", .badSyntax), ("pause a speed=1", .unknownKey), ("mirror", .badSyntax),
            ("mirror a spede=1", .unknownKey), ("mirror a speed=x", .badValue),
            ("mirror a b target=/x", .notSupported), ("mirror /a target=/x", .unknownImage),
            ("mirror ../a target=/x", .unknownImage), ("mirror \"\" target=/x", .unknownImage),
            ("pause a/..", .unknownImage), ("pause .", .unknownImage), ("set a", .badSyntax),
            ("set a b speed=1", .badSyntax), ("set a sync=top", .badValue),
            ("set a nonsense=1", .unknownKey), ("set a copy-mode=background", .notSupported),
            ("set a pace=full", .notSupported), ("set a min-speed=1", .notSupported),
            ("set a speed=x", .badValue), ("cancel a force=yes", .badValue),
            ("cancel a switch=on", .unknownKey), ("complete a", .notSupported),
            ("complete a switch=on", .notSupported), ("complete a switch=maybe", .badValue),
            ("verify a", .notSupported), ("verify a repair=on", .notSupported),
            ("verify a repair=1", .badValue), ("pause \"a", .badSyntax),
        ])
    func mistakes(line: String, code: CommandError.Code) {
        let error = #expect(throws: CommandError.self) { try parse(line) }
        #expect(error?.code == code)
    }

    @Test("what is refused for now says what to use instead")
    func instead() {
        let error = #expect(throws: CommandError.self) { try parse("complete vm1.img") }
        #expect(
            error?.message == "complete: switch-over is not built yet: use complete switch=off")
    }

    @Test("an error survives its reply", arguments: CommandError.Code.allCases)
    func reply(code: CommandError.Code) {
        let error = CommandError(code, "a: b")
        #expect(CommandError(reply: error.reply) == error)
        #expect(error.errno > 0)
        #expect(code.exitReason != .success)
    }

    @Test("words that are no error's are told apart")
    func foreignReplies() {
        #expect(CommandError(reply: "ok vm1.img") == nil)
        #expect(CommandError(reply: "error something else") == .init(.io, "something else"))
    }

    @Test("random lines are answered, never trapped on")
    func randomLines() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededRandom(seed: seed)
        let pool = Array("mirrorpause cancel set=\\x\"#\n\t é/.off".utf8) + [0, 0xff]
        for _ in 0..<5000 {
            let line = (0..<Int.random(in: 0...30, using: &random)).map { _ in
                pool.randomElement(using: &random)!
            }
            do throws(CommandError) { _ = try Command.parse(line) } catch {
                #expect(!error.message.isEmpty, "seed \(seed)")
            }
        }
    }
}
