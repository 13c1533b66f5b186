extension StatusText {
    /// What the last `verify` of a job has found so far, on one line; nil before the first one.
    public static func verification(_ job: JobReport, mountpoint: String) -> String? {
        guard let verified = job.verifiedBytes else { return nil }
        let different = job.mismatchedBytes ?? 0
        let start = different > (job.repairedBytes ?? 0) ? "! " : ""
        var parts = [
            start + (job.verifying ? "verifying: " : "verified: ") + ByteSize.text(verified)
                + " compared, " + outcome(job, different)
        ]
        if let unknown = job.unverifiedBytes, unknown > 0 {
            parts.append("\(ByteSize.text(unknown)) were being written and are not counted")
        }
        if let error = job.verifyError { parts.append(NameText.harmless(error)) }
        if different > (job.repairedBytes ?? 0), isLive(job) {
            let path = NameText.harmless(mountpoint) + "/" + shownID(job)
            parts.append("copy again what differs: twinfs verify \(path) repair=on")
        }
        return parts.joined(separator: "; ")
    }

    private static func outcome(_ job: JobReport, _ different: Int) -> String {
        if different == 0 { return "nothing differs" + (job.verifying ? " so far" : "") }
        let repaired = job.repairedBytes ?? 0
        let bytes = "\(ByteSize.text(different)) differ"
        if repaired == 0 { return bytes }
        return bytes + ", \(ByteSize.text(repaired)) marked to be copied again"
    }
}
