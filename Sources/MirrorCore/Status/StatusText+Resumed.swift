extension StatusText {
    /// How a job came back after a restart; nil where it did not, or is over.
    static func resumption(_ job: JobReport) -> String? {
        guard isLive(job), let words = words(job.resumed) else { return nil }
        guard let left = job.resumedBytes else { return words }
        let total = max(job.totalBytes, left)
        return "\(words): \(ByteSize.text(left)) of \(ByteSize.text(total)) to copy"
    }

    private static func words(_ resumed: ReturnProof) -> String? {
        switch resumed {
        case .worker: "resumed after a restart of the daemon"
        case .clean: "resumed after an unmount"
        case .intent: "resumed after a crash"
        case .compare: "resumed without proof of what differs, so all is compared"
        case .no: nil
        }
    }
}
