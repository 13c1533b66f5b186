import Testing

@testable import MirrorCore

@Suite("Commands")
struct CommandTests {
    func parse(_ line: String) throws -> Command { try Command.parse(Array(line.utf8)) }
    func change(_ key: ParameterKey, _ value: String) throws -> ParameterChange {
        try ParameterChange(key, ParameterPair(key, value))
    }
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
        #expect(try parse("complete vm1.img") == .complete(vm, switchOver: true))
        #expect(try parse("complete vm1.img switch=on") == .complete(vm, switchOver: true))
        #expect(try parse("complete vm1.img switch=off") == .complete(vm, switchOver: false))
        #expect(try parse("verify vm1.img") == .verify(vm, repair: false))
        #expect(try parse("verify vm1.img repair=on") == .verify(vm, repair: true))
        #expect(try parse("verify vm1.img repair=off") == .verify(vm, repair: false))
        #expect(
            try parse("set vm1.img speed=0 max-pause=5")
                == .set(vm, [change(.speed, "0"), change(.maxPause, "5")]))
        #expect(
            try parse("set vm1.img on-source-error=stop on-target-error=report")
                == .set(vm, [change(.onSourceError, "stop"), change(.onTargetError, "report")]))
    }

    @Test("mirror takes several images as a group, in their order")
    func group() throws {
        var parameters = JobParameters()
        parameters.target = Array("/backup/".utf8)
        let images = ["c", "a/b", "b"].map { Array($0.utf8) }
        #expect(
            try parse("mirror c ./a//b target=/backup/ b")
                == .mirror(images: images, parameters: parameters))
    }

    @Test(
        "a group that cannot be one is refused with the reason",
        arguments: [
            ("mirror a b ./a target=/x/", "a is named twice"),
            ("mirror a b target=/x/ sync=none", "sync=none without seed="),
            ("mirror a b target=/x/ sync=incremental checkpoint=c", "sync=incremental"),
        ])
    func badGroup(line: String, reason: String) {
        let error = #expect(throws: CommandError.self) { try parse(line) }
        #expect(error?.code == .badValue && error?.message.contains(reason) == true)
    }

    @Test("images that start equal can be a group")
    func seededGroup() throws {
        guard
            case .mirror(let images, let parameters) = try parse(
                "mirror a b target=/x/ sync=none seed=reflink")
        else { throw CommandError(.badSyntax, "not read as mirror") }
        #expect(images.count == 2 && parameters.seed == .reflink)
    }

    @Test("restart stands alone")
    func restart() throws {
        #expect(try parse("restart") == .restart)
    }

    @Test("checkpoint takes an image and a name")
    func checkpoint() throws {
        #expect(try parse("checkpoint vm1.img monday") == .checkpoint(vm, "monday", delete: false))
        #expect(
            try parse("checkpoint vm1.img a.B-9_ delete=on")
                == .checkpoint(vm, "a.B-9_", delete: true))
        #expect(
            try parse("checkpoint ./vm1.img m delete=off") == .checkpoint(vm, "m", delete: false))
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
            ("mirror /a target=/x", .unknownImage),
            ("mirror ../a target=/x", .unknownImage), ("mirror \"\" target=/x", .unknownImage),
            ("pause a/..", .unknownImage), ("pause .", .unknownImage), ("set a", .badSyntax),
            ("set a b speed=1", .badSyntax), ("set a sync=top", .badValue),
            ("set a nonsense=1", .unknownKey), ("set a copy-mode=fast", .badValue),
            ("set a checkpoint=b", .badValue), ("set a target=/b", .badValue),
            ("set a speed=x", .badValue), ("set a speed=1 speed=2", .badValue),
            ("cancel a force=yes", .badValue), ("cancel a switch=on", .unknownKey),
            ("complete a switch=maybe", .badValue), ("complete a b", .badSyntax),
            ("complete a speed=1", .unknownKey), ("verify a repair=1", .badValue),
            ("verify a b", .badSyntax), ("verify a delete=on", .unknownKey),
            ("restart vm1.img", .badSyntax), ("restart now=on", .unknownKey),
            ("checkpoint", .badSyntax), ("checkpoint a", .badSyntax),
            ("checkpoint a b c", .badSyntax), ("checkpoint a .b", .badValue),
            ("checkpoint a ./b", .badValue), ("checkpoint a b/c", .badValue),
            ("checkpoint a \"\"", .badValue), ("checkpoint ../a b", .unknownImage),
            ("checkpoint a b delete=yes", .badValue), ("checkpoint a b speed=1", .unknownKey),
            ("pause \"a", .badSyntax),
        ])
    func mistakes(line: String, code: CommandError.Code) {
        let error = #expect(throws: CommandError.self) { try parse(line) }
        #expect(error?.code == code)
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
