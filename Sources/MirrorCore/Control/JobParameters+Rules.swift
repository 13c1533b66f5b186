// What goes together and what does not. Every rule stands here, so that a job is refused before
// anything was made, and says what to write instead.

extension JobParameters {
    /// Whether the twin of `sync=none` starts with nothing that equals the source: it holds only
    /// what was written since, and can never become the image.
    public var isDelta: Bool { sync == .none && seed == nil }

    /// Whether `target` names an NBD export and no file.
    public var targetIsURI: Bool { target.map(Self.isURI) ?? false }

    /// Whether a target's bytes are the URI of an NBD export: `nbd://…` or `nbd+unix:///…`.
    public static func isURI(_ target: [UInt8]) -> Bool {
        ["nbd://", "nbd+unix://"].contains { target.starts(with: $0.utf8) }
    }

    /// - Throws: `badValue` for values that contradict each other.
    public func refuseContradictions() throws(CommandError) {
        try refuseSeedAndCheckpoint()
        if fsync == .both, copyMode != .writeBlocking {
            throw CommandError(
                .badValue,
                "fsync=both: needs copy-mode=write-blocking, this job has copy-mode=\(copyMode.rawValue);"
                    + " write both, or fsync=source")
        }
        if isDelta { try refuseForDelta() }
    }

    private func refuseSeedAndCheckpoint() throws(CommandError) {
        if let seed, sync != .none {
            throw CommandError(
                .badValue,
                "seed=\(seed.rawValue): only sync=none starts from a seed, this job has sync=\(sync.rawValue);"
                    + " write sync=none, or leave seed= out")
        }
        if sync == .incremental, checkpoint == nil {
            throw CommandError(
                .badValue,
                "sync=incremental: needs the checkpoint that it starts from; add checkpoint=NAME")
        }
        if let checkpoint, sync != .incremental {
            throw CommandError(
                .badValue,
                "checkpoint=\(checkpoint): only sync=incremental starts from a checkpoint, this job has"
                    + " sync=\(sync.rawValue); write sync=incremental, or leave checkpoint= out")
        }
    }

    private func refuseForDelta() throws(CommandError) {
        if copyMode == .writeBlocking {
            throw CommandError(
                .badValue,
                "copy-mode=write-blocking: a sync=none twin without seed= is never in sync, so that there is"
                    + " nothing to keep so; leave copy-mode= out, or add seed=asserted or seed=reflink"
            )
        }
        if existing != .fail {
            throw CommandError(
                .badValue,
                "existing=\(existing.rawValue): a sync=none twin without seed= is a new file that holds changes"
                    + " alone; choose a free name, or add seed=asserted for a file that equals the source"
            )
        }
    }

    /// - Throws: `badValue` where the job cannot be one of `count` images.
    func refuseGroup(of count: Int) throws(CommandError) {
        guard count > 1, isDelta || sync == .incremental else { return }
        let what = isDelta ? "sync=none without seed=" : "sync=incremental"
        throw CommandError(
            .badValue,
            "\(what): is for one image alone, and \(count) are named; write one line an image")
    }
}
