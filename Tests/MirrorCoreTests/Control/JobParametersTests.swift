import MirrorCore
import Testing

@Suite("Parameters of a job")
struct JobParametersTests {
    func parse(_ options: [String]) throws -> JobParameters {
        try JobParameters(parsing: options.map { ParameterPair(option: $0) })
    }

    func parse(_ options: String...) throws -> JobParameters { try parse(options) }

    @Test("a job with no parameter written has every default")
    func nothing() throws { #expect(try parse() == JobParameters()) }

    @Test(
        "every parameter has its default, and it can be written", arguments: ParameterKey.allCases)
    func defaults(key: ParameterKey) throws {
        let standard = ParameterRow.row(key).standard
        #expect(JobParameters().shown(key) == standard)
        if standard != "nil" {
            #expect(try parse("\(key.rawValue)=\(standard)") == JobParameters())
        }
    }

    @Test("every valid value arrives, and changes nothing else", arguments: ParameterKey.allCases)
    func valid(key: ParameterKey) throws {
        let row = ParameterRow.row(key)
        #expect(!row.valid.isEmpty)
        for (written, arrives) in row.valid {
            let parameters = try parse(row.with + ["\(key.rawValue)=\(written)"])
            #expect(parameters.shown(key) == arrives && arrives != row.standard)
            let named = (row.with + [key.rawValue]).map { $0.prefix { $0 != "=" } }
            for other in ParameterKey.allCases where !named.contains(other.rawValue[...]) {
                let standard = ParameterRow.row(other).standard
                #expect(parameters.shown(other) == standard, "\(key) changed \(other)")
            }
        }
    }

    @Test(
        "every wrong value is refused with the rule and an example",
        arguments: ParameterKey.allCases)
    func invalid(key: ParameterKey) {
        let row = ParameterRow.row(key)
        #expect(!row.invalid.isEmpty)
        for value in row.invalid {
            let error = #expect(throws: CommandError.self) {
                try parse(row.with + ["\(key.rawValue)=\(value)"])
            }
            #expect(error?.code == .badValue, "\(key.rawValue)=\(value)")
            let message = error?.message ?? ""
            #expect(message.hasPrefix("\(key.rawValue)="), "\(message)")
            #expect(message.contains("must be"), "\(message)")
            #expect(message.contains("e.g. \(key.rawValue)="), "\(message)")
        }
    }

    @Test("what is written as an example is valid", arguments: ParameterKey.allCases)
    func examples(key: ParameterKey) throws {
        let example = key.rule.split(separator: "e.g. ").last.map(String.init) ?? ""
        for option in example.split(separator: " or ") {
            _ = try parse(ParameterRow.row(key).with + [String(option)])
        }
    }

    @Test("the buffer holds at least one granule")
    func buffer() throws { #expect(try parse("granularity=64M").bufferSize == 64 << 20) }

    @Test("the message about granularity is a sentence to act on")
    func message() {
        let error = #expect(throws: CommandError.self) { try parse("granularity=3000") }
        #expect(
            error?.message
                == "granularity=3000: must be a power of two between 512 and 64M, e.g. granularity=64K"
        )
    }

    @Test("an unknown key is named, with those that are known")
    func unknown() {
        let error = #expect(throws: CommandError.self) { try parse("granularty=4K") }
        #expect(error?.code == .unknownKey)
        #expect(error?.message.contains("granularty=4K") == true)
        #expect(error?.message.contains("granularity") == true)
    }

    @Test("a key that comes twice is refused")
    func twice() {
        let error = #expect(throws: CommandError.self) { try parse("speed=1", "speed=2") }
        #expect(error?.code == .badValue)
    }
}

@Suite("Parameters that belong together")
struct ParameterRulesTests {
    func parse(_ options: String) throws -> JobParameters {
        try JobParameters(
            parsing: options.split(separator: " ").map { ParameterPair(option: String($0)) })
    }

    @Test(
        "a contradiction is refused with both sides of it and the way out",
        arguments: [
            ("fsync=both", ["copy-mode=write-blocking", "copy-mode=auto", "fsync=source"]),
            ("fsync=both copy-mode=background", ["copy-mode=background"]),
            ("seed=asserted", ["seed=asserted", "sync=full", "sync=none"]),
            ("seed=reflink sync=top", ["seed=reflink", "sync=top", "sync=none"]),
            ("sync=incremental", ["checkpoint=NAME"]),
            ("checkpoint=a", ["checkpoint=a", "sync=full", "sync=incremental"]),
            ("sync=none checkpoint=a", ["checkpoint=a", "sync=none", "sync=incremental"]),
            ("sync=none copy-mode=write-blocking", ["copy-mode=write-blocking", "seed=asserted"]),
            ("sync=none existing=replace", ["existing=replace", "seed=asserted"]),
            ("sync=none existing=reuse", ["existing=reuse", "seed=asserted"]),
        ])
    func contradictions(options: String, words: [String]) {
        let error = #expect(throws: CommandError.self) { try parse(options) }
        #expect(error?.code == .badValue)
        for word in words { #expect(error?.message.contains(word) == true, "\(word)") }
    }

    @Test(
        "parameters that go together are accepted, in any order",
        arguments: [
            "fsync=both copy-mode=write-blocking", "copy-mode=write-blocking fsync=both",
            "sync=none", "sync=none copy-mode=background", "sync=none copy-mode=auto",
            "seed=asserted sync=none copy-mode=write-blocking existing=reuse",
            "sync=none seed=reflink existing=replace fsync=both copy-mode=write-blocking",
            "checkpoint=a sync=incremental existing=reuse", "cut-wait=1", "min-speed=2M speed=1M",
        ])
    func together(options: String) throws { _ = try parse(options) }

    @Test("parameters of the mount are the defaults of a job")
    func inherited() throws {
        let mount = try parse("speed=1M unmap=off pre-cut=/bin/freeze")
        let job = try JobParameters(parsing: [ParameterPair(.speed, "2M")], defaults: mount)
        #expect(job.speed == 2 << 20 && !job.unmap && job.preCut == mount.preCut)
    }

    @Test("what the mount's sync needs does not bind a job with another sync")
    func anotherSync() throws {
        let full = [ParameterPair(.sync, "full")]
        let seeded = try JobParameters(parsing: full, defaults: parse("sync=none seed=reflink"))
        #expect(seeded == JobParameters())
        let since = try parse("sync=incremental checkpoint=a")
        #expect(try JobParameters(parsing: full, defaults: since) == JobParameters())
        #expect(try JobParameters(parsing: [], defaults: since).checkpoint == "a")
    }

    @Test("a rule holds across the mount's parameters and the job's own")
    func acrossLevels() throws {
        let mount = try parse("fsync=both copy-mode=write-blocking")
        let error = #expect(throws: CommandError.self) {
            try JobParameters(parsing: [ParameterPair(.copyMode, "auto")], defaults: mount)
        }
        #expect(error?.code == .badValue)
    }
}

@Suite("Changes of a running job")
struct ParameterChangeTests {
    func set(_ option: String) throws -> Command {
        try Command.parse(Array("set vm1.img \(option)".utf8))
    }

    @Test(
        "a parameter that set takes is taken with every value that a start takes",
        arguments: ParameterKey.allCases)
    func changes(key: ParameterKey) throws {
        let row = ParameterRow.row(key)
        for (written, arrives) in row.valid {
            // Quoted, as some values hold blanks.
            let option = "\(key.rawValue)=\(ControlLine.quote(Array(written.utf8)))"
            guard ParameterChange.keys.contains(key) else {
                let error = #expect(throws: CommandError.self) { try set(option) }
                #expect(error?.code == .badValue)
                #expect(error?.message.contains("\(key.rawValue) is fixed once") == true)
                continue
            }
            guard case .set(_, let changes) = try set(option) else {
                Issue.record("\(option) is no set")
                continue
            }
            var parameters = JobParameters()
            for change in changes { parameters.apply(change) }
            #expect(parameters.shown(key) == arrives, "\(option)")
        }
    }

    @Test("set refuses a wrong value as the start does", arguments: ParameterChange.keys)
    func wrong(key: ParameterKey) {
        for value in ParameterRow.row(key).invalid {
            let error = #expect(throws: CommandError.self) { try set("\(key.rawValue)=\(value)") }
            #expect(error?.code == .badValue)
            #expect(error?.message.contains(key.rule) == true)
        }
    }
}
