import MirrorCore
import Testing

@Suite struct ParameterPairsTests {
    @Test func `the parameters of a job are read back from their text`() throws {
        for line in [
            "", "sync=none seed=asserted existing=reuse", "sync=incremental checkpoint=a",
            "sync=top granularity=64M target=/a/\u{e4}\\ speed=5 pace=full min-speed=1K",
            "copy-mode=write-blocking fsync=both write-timeout=9 max-pause=2 max-retries=3 unmap=off",
            "on-source-error=ignore on-target-error=stop cut=flush cut-wait=7 target-is-zero=on",
            "pre-cut=/a/b post-cut=/c cut-timeout=4 buf-size=1M target=nbd://host/x",
        ] {
            let pairs = line.split(separator: " ").map { ParameterPair(option: String($0)) }
            let wanted = try JobParameters(parsing: pairs)
            let again = try JobParameters(parsing: wanted.pairs)
            #expect(again == wanted)
        }
    }
}
