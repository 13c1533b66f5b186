extension StatusText {
    /// What is wrong with a job and what to do, a line each; empty where nothing is.
    public static func advice(_ job: JobReport, mountpoint: String) -> [String] {
        let path = NameText.harmless(mountpoint) + "/" + shownID(job)
        if let error = job.error { return problem(job, NameText.harmless(error), path) }
        guard isLive(job), !job.paused, !job.converging, !isInSync(job) else { return [] }
        return [
            "! not converging: the guest changes \(ByteSize.rateText(job.dirtyRate)), the copier does"
                + " \(ByteSize.rateText(job.rate))",
            "  raise the limit (twinfs set \(path) speed=0), use a faster target, or quiet the guest",
        ]
    }

    private static func problem(_ job: JobReport, _ error: String, _ path: String) -> [String] {
        switch job.phase {
        case .cancelled: ["! cancelled: \(error)", "  forget it: twinfs dismiss \(path)"]
        case .failed:
            [
                "! failed: \(error)",
                "  mend the cause, then twinfs dismiss \(path), remove the twin, and mirror again",
            ]
        case .created, .bulk, .ready, .completing, .completed: trouble(job, error, path)
        }
    }

    /// What is wrong with a job that has not failed.
    private static func trouble(_ job: JobReport, _ error: String, _ path: String) -> [String] {
        if job.ioStatus == .nospace {
            return [
                "! no space: \(error)", "  free space on the target, then twinfs resume \(path)",
            ]
        }
        if !job.paused { return ["! \(error)"] }
        return [
            "! stopped: \(error)",
            "  mend the cause, then twinfs resume \(path); to give up: twinfs cancel \(path)"
                + " force=on",
        ]
    }
}
