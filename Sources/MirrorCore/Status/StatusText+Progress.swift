extension StatusText {
    /// Whether the twin equals the source at the instant of the report, or a completed job's cut.
    public static func isInSync(_ job: JobReport) -> Bool {
        if job.phase == .completed { return true }
        return job.ready && isLive(job) && job.dirtyBytes == 0 && job.inFlightBytes == 0
            && job.offset >= job.len
    }

    /// Whether the job has not ended.
    public static func isLive(_ job: JobReport) -> Bool { !job.phase.isOver }

    /// 0 to 100, rounded down; 100 only when in sync.
    public static func percent(_ job: JobReport) -> Int {
        if isInSync(job) { return 100 }
        guard job.len > 0, job.offset > 0 else { return 0 }
        // Divided first: a length in bytes times 100 may not fit.
        return Int(min(99, Double(job.offset) / Double(job.len) * 100))
    }

    /// `[#########·······]`, full only when in sync.
    public static func bar(_ job: JobReport, width: Int = barWidth) -> String {
        let filled = percent(job) * width / 100
        return "[" + String(repeating: "#", count: filled)
            + String(repeating: "·", count: width - filled) + "]"
    }

    /// When it will be in sync, in words; nil where the question makes no sense.
    static func remaining(_ job: JobReport) -> String? {
        guard isLive(job) else { return nil }
        if isInSync(job) { return "in sync" }
        if job.paused { return nil }
        if !job.converging { return "not converging" }
        return job.eta.map { "ETA " + duration($0) } ?? "ETA unknown"
    }

    /// Seconds as people say them: two units, as in `3d 4h`.
    static func duration(_ seconds: Int) -> String {
        let seconds = max(0, seconds)
        let units = [(86400, "d"), (3600, "h"), (60, "m"), (1, "s")]
        guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0s" }
        let large = "\(seconds / units[first].0)\(units[first].1)"
        guard first + 1 < units.count else { return large }
        let small = seconds % units[first].0 / units[first + 1].0
        return "\(large) \(small)\(units[first + 1].1)"
    }
}
