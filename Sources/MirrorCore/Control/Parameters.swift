// The table: a row for each parameter. Parsing, the text of parameters, `set`, error messages, help
// and the table of docs/control.md come from here.

// MARK: What is copied, and where to

extension Parameter {
    static let target = Parameter(
        .target, \.target, optional: .target, unwritten: "the mount's `target=`",
        examples: ["/backup/", "nbd://host/export"],
        "Where the twin is: a file, a directory (the path ends in `/`), a block device, or an NBD export, which"
            + " is written `nbd://HOST[:PORT][/EXPORT]` or `nbd+unix:///EXPORT?socket=PATH`.")

    static let sync = Parameter(
        .sync, \.sync, .word, example: "top",
        "What is copied: with `full` the image and all that its header refers to; with `top` the image alone;"
            + " with `none` only what is written from now on; with `incremental` only what changed since"
            + " `checkpoint`.")

    static let seed = Parameter(
        .seed, \.seed, optional: .word, examples: ["asserted", "reflink"],
        "Why a twin of `sync=none` equals the image at the start: with `asserted` you vouch for it, with"
            + " `reflink` it is cloned then. Without a seed the twin is a delta that never becomes the image."
    )

    static let checkpoint = Parameter(
        .checkpoint, \.checkpoint, optional: .checkpoint, examples: ["monday"],
        "The checkpoint where `sync=incremental` starts.")

    static let existing = Parameter(
        .existing, \.existing, .word, example: "replace",
        "What becomes of a file that has the target's name: with `fail` the job is refused; `replace` keeps the"
            + " file until the twin is ready, then replaces it at one instant; `reuse` compares with it and"
            + " copies differences.")

    static let targetIsZero = Parameter(
        .targetIsZero, \.targetIsZero, .flag, example: "on",
        "Whether the target reads as zero everywhere, so that holes need not be written to it.")

    static let granularity = Parameter(
        .granularity, \.granularity, .granularity, example: "64K",
        "The unit in which changes are tracked.")

    static let bufferSize = Parameter(
        .bufferSize, \.bufferSize, .size("a size between 64K and 1G", (64 << 10)...(1 << 30)),
        example: "4M", "The most bytes in flight. A value below one granule is raised to that.")

    static let unmap = Parameter(
        .unmap, \.unmap, .flag, example: "off",
        "With `on`, zeroed and discarded ranges become holes in the twin; with `off` they are written as"
            + " zeroes.")
}

// MARK: How fast, and how guest writes reach the target

extension Parameter {
    static let speed = Parameter(
        .speed, \.speed, .size("bytes a second, 0 for no limit"), isLive: true, example: "100M",
        "The ceiling of the copier. Guests are never limited.")

    static let pace = Parameter(
        .pace, \.pace, .word, isLive: true, example: "full",
        "`guest` lets the copier back off when it hurts the guest's latency; `full` does not look.")

    static let minSpeed = Parameter(
        .minSpeed, \.minSpeed, .size("bytes a second"), isLive: true, example: "5M",
        "What `pace=guest` never goes below; 0 means 1M. `speed` wins over it.")

    static let copyMode = Parameter(
        .copyMode, \.copyMode, .word, isLive: true, example: "write-blocking",
        "Whether guest writes go to the target at once (`write-blocking`) or are marked and copied later"
            + " (`background`). `auto` is background while the remainder shrinks, with `pace=full` on the way"
            + " to ready or to a cut only while it shrinks by at least half of what is copied.")

    static let writeTimeout = Parameter(
        .writeTimeout, \.writeTimeout, .number(0...600_000, "milliseconds, 0 for off"),
        isLive: true, example: "500",
        "A write that goes to the target at once and takes longer is given up: it is marked, and copied later."
    )

    static let fsync = Parameter(
        .fsync, \.fsync, .word, example: "both",
        "What a guest's flush makes durable: the source alone, or source and target.")

    static let intent = Parameter(
        .intent, \.intent, .flag, example: "off",
        "Whether it is kept in the state directory where source and twin may differ, before a guest writes there:"
            + " after a power cut only that is copied. With `off` everything is compared then.")
}

// MARK: Errors

extension Parameter {
    static let onSourceError = Parameter(
        .onSourceError, \.onSourceError, .word, isLive: true, example: "stop",
        "What an error of the source does: with `report` the job fails; with `stop` it pauses and shows the error;"
            + " with `enospc` it pauses when out of space and else fails; with `ignore` it tries again with growing"
            + " pauses, and pauses after `max-retries`.")

    static let onTargetError = Parameter(
        .onTargetError, \.onTargetError, .word, isLive: true, example: "ignore",
        "What an error of the target does; the words mean what they mean for `on-source-error`. A guest never sees"
            + " the target's errors.")

    static let maxRetries = Parameter(
        .maxRetries, \.maxRetries, .number(0...1000, "retries"), isLive: true, example: "100",
        "How often `ignore` tries again.")
}

// MARK: Cuts

extension Parameter {
    static let maxPause = Parameter(
        .maxPause, \.maxPause, .number(1...60_000, "milliseconds"), isLive: true, example: "50",
        "The longest that a cut or switch-over may hold guest writes.")

    static let cut = Parameter(
        .cut, \.cut, .word, example: "flush",
        "When a job that is to end does so: with `now` at the first agreement; with `flush` right after a guest's"
            + " flush with nothing in flight, where one comes within `cut-wait`.")

    static let cutWait = Parameter(
        .cutWait, \.cutWait, .number(1...600_000, "milliseconds"), example: "30000",
        "How long `cut=flush` waits for a guest's flush.")

    static let preCut = Parameter(
        .preCut, \.preCut, optional: .program, examples: ["/usr/local/bin/freeze"],
        "An executable that is run before guest writes are held for a cut (`fsfreeze` in the guest, say), as"
            + " `PROGRAM pre-cut JOB IMAGE…`. When it fails or takes too long, that cut is given up and the job"
            + " goes on.")

    static let postCut = Parameter(
        .postCut, \.postCut, optional: .program, examples: ["/usr/local/bin/thaw"],
        "An executable that is run when guest writes go on, as `PROGRAM post-cut JOB IMAGE…`. It runs after every"
            + " `pre-cut`, also after one that failed, so it must be harmless where nothing is frozen. Its failure"
            + " is told as the event `TWINFS_HOOK_FAILED`.")

    static let cutTimeout = Parameter(
        .cutTimeout, \.cutTimeout, .number(1...600_000, "milliseconds"), example: "60000",
        "The longest that `pre-cut` and `post-cut` may take each.")
}
