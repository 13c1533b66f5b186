import MirrorCore
import Testing

@Suite("Parameters of a job")
struct JobParametersTests {
    func parse(_ options: String...) throws -> JobParameters {
        try JobParameters(parsing: options.map { ParameterPair(option: $0) })
    }

    @Test("every parameter has QEMU's default")
    func defaults() throws {
        let defaults = try parse()
        #expect(defaults == JobParameters())
        #expect(
            defaults.sync == .full && defaults.target == nil && defaults.granularity.bytes == 4096)
        #expect(defaults.bufferSize == 16 << 20 && defaults.speed == 0 && defaults.minSpeed == 0)
        #expect(defaults.pace == .full && defaults.copyMode == .background && defaults.unmap)
        #expect(defaults.onSourceError == .report && defaults.onTargetError == .enospc)
        #expect(
            defaults.existing == .fail && defaults.writeTimeout == 0 && defaults.fsync == .source)
        #expect(defaults.maxPause == 300 && defaults.maxRetries == 10 && defaults.seed == nil)
    }

    @Test(
        "every default can be written out",
        arguments: [
            "sync=full", "granularity=4096", "buf-size=16M", "speed=0", "pace=full", "min-speed=0",
            "copy-mode=background", "unmap=on", "on-source-error=report", "on-target-error=enospc",
            "existing=fail", "write-timeout=0", "fsync=source", "max-pause=300", "max-retries=10",
        ])
    func written(option: String) throws { #expect(try parse(option) == JobParameters()) }

    @Test("every value that is built arrives")
    func values() throws {
        #expect(try parse("sync=top").sync == .top)
        #expect(try parse("sync=none").sync == .none)
        #expect(try parse("target=/b a/").target == Array("/b a/".utf8))
        #expect(try parse("granularity=64M").granularity.bytes == 64 << 20)
        #expect(try parse("granularity=512").granularity.bytes == 512)
        #expect(try parse("buf-size=64K").bufferSize == 65536)
        #expect(try parse("buf-size=1GiB").bufferSize == 1 << 30)
        #expect(try parse("speed=100M").speed == 100 << 20)
        #expect(try parse("unmap=off").unmap == false)
        #expect(try parse("on-source-error=stop").onSourceError == .stop)
        #expect(try parse("on-target-error=report").onTargetError == .report)
        #expect(try parse("max-pause=1").maxPause == 1)
    }

    @Test("the buffer holds at least one granule")
    func buffer() throws { #expect(try parse("granularity=64M").bufferSize == 64 << 20) }

    @Test("parameters of the mount are the defaults of a job")
    func inherited() throws {
        let mount = try parse("speed=1M", "unmap=off")
        let pairs = [ParameterPair(.speed, "2M")]
        let job = try JobParameters(parsing: pairs, defaults: mount)
        #expect(job.speed == 2 << 20 && !job.unmap)
    }

    @Test(
        "a wrong value is refused with the rule and an example",
        arguments: [
            "sync=all", "sync=", "sync", "target=", "target=backup", "granularity=3000",
            "granularity=256", "granularity=128M", "granularity=x", "buf-size=1K", "buf-size=2G",
            "speed=-1", "speed=fast", "pace=slow", "min-speed=x", "copy-mode=fast", "unmap=yes",
            "on-source-error=panic", "on-target-error=", "existing=keep", "write-timeout=1s",
            "fsync=target", "max-pause=0", "max-pause=60001", "max-pause=+5", "max-retries=-1",
            "seed=maybe",
        ])
    func wrong(option: String) {
        let error = #expect(throws: CommandError.self) { try parse(option) }
        #expect(error?.code == .badValue)
        let key = option.prefix { $0 != "=" }
        #expect(error?.message.hasPrefix("\(key)=") == true)
        #expect(error?.message.contains("must be") == true)
        #expect(error?.message.contains("e.g. \(key)=") == true)
    }

    @Test("the message about granularity is a sentence to act on")
    func message() {
        let error = #expect(throws: CommandError.self) { try parse("granularity=3000") }
        #expect(
            error?.message
                == "granularity=3000: must be a power of two between 512 and 64M, e.g. granularity=4K"
        )
    }

    @Test(
        "what is not built yet is refused with what to use instead",
        arguments: [
            "sync=incremental", "copy-mode=write-blocking", "copy-mode=auto", "pace=guest",
            "existing=replace", "existing=reuse", "seed=asserted", "seed=reflink", "fsync=both",
            "write-timeout=5", "min-speed=1M", "max-retries=3", "on-source-error=ignore",
            "on-target-error=ignore", "target=nbd://host/x", "target=nbd+unix:///x",
        ])
    func notBuilt(option: String) {
        let error = #expect(throws: CommandError.self) { try parse(option) }
        #expect(error?.code == .notSupported)
        #expect(error?.message.hasPrefix("\(option) is not built yet: use ") == true)
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
