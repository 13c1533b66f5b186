/// The status of a mount for people: the content of `.mirror/status`, and what `twinfs status`
/// prints.
///
/// ```
/// twinfs 0.1.0  /mnt/images  (source /srv/images)  up 1h 25m
/// vm1.img  bulk   [#########·······]  57 %  5.7 GiB of 10.0 GiB  112.3 MiB/s  ETA 38s  …
/// ```
public enum StatusText {
    /// Characters between the brackets of a bar.
    public static let barWidth = 16

    /// The whole text, each line with its newline.
    ///
    /// - Parameter now: seconds since 1970; nil where ages are not to be shown.
    public static func render(_ report: StatusReport, now: Int? = nil) -> String {
        var lines = [header(report)]
        lines += report.served.map(served)
        lines += report.warnings.map { "warning: " + NameText.harmless($0) }
        if report.jobs.isEmpty {
            lines.append("no jobs; start one: twinfs mirror IMAGE target=/backup/")
        }
        let width = report.jobs.map { shownID($0).count }.max() ?? 0
        for job in report.jobs {
            lines.append(line(job, idWidth: width))
            if let line = pastState(job, now: now) { lines.append("    " + line) }
            if let line = resumption(job) { lines.append("    " + line) }
            lines += advice(job, mountpoint: report.mountpoint).map { "    " + $0 }
            if let line = verification(job, mountpoint: report.mountpoint) {
                lines.append("    " + line)
            }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    static func header(_ report: StatusReport) -> String {
        let mount = NameText.harmless(report.mountpoint)
        let source = NameText.harmless(report.source)
        return
            "twinfs \(report.version)  \(mount)  (source \(source))  up \(duration(report.uptime))"
    }

    private static func served(_ image: ServedReport) -> String {
        NameText.harmless(image.image) + "  is served from " + NameText.harmless(image.twin)
            + "  (generation \(image.generation))"
    }

    /// One job on one line.
    ///
    /// - Parameter idWidth: the id is padded to so many characters, for jobs below each other.
    public static func line(_ job: JobReport, idWidth: Int = 0) -> String {
        var parts = [
            padded(shownID(job), idWidth), padded(phase(job), 5),
            "\(bar(job))  \(padded("\(percent(job))", 3, left: true)) %",
            "\(ByteSize.text(job.offset)) of \(ByteSize.text(job.len))",
        ]
        if isLive(job) { parts.append(ByteSize.rateText(job.rate)) }
        if let time = remaining(job) { parts.append(time) }
        parts.append("twin \(job.targetState.rawValue)")
        if job.serving != JobReport.ownFile { parts.append("served from \(job.serving)") }
        parts.append("-> " + NameText.harmless(job.target))
        return parts.joined(separator: "  ")
    }

    static func shownID(_ job: JobReport) -> String { NameText.harmless(job.id) }

    private static func phase(_ job: JobReport) -> String {
        guard job.paused, isLive(job) else { return job.phase.rawValue }
        return job.phase == .ready ? "standby" : "paused"
    }

    private static func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return left ? blanks + text : text + blanks
    }
}
