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
        switch (job.phase, job.ioStatus) {
        case ("cancelled", _): ["! cancelled: \(error)", "  forget it: twinfs dismiss \(path)"]
        case ("failed", _):
            [
                "! failed: \(error)",
                "  mend the cause, then twinfs dismiss \(path), remove the twin, and mirror again",
            ]
        case (_, "nospace"):
            ["! no space: \(error)", "  free space on the target, then twinfs resume \(path)"]
        case _ where !job.paused: ["! \(error)"]
        default:
            [
                "! stopped: \(error)",
                "  mend the cause, then twinfs resume \(path); to give up: twinfs cancel \(path)"
                    + " force=on",
            ]
        }
    }
}
