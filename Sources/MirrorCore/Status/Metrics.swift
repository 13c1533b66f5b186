/// The status of a mount for Prometheus (text exposition format 0.0.4): the content of
/// `.mirror/metrics`.
public enum Metrics {
    /// The whole text: for each metric `# HELP`, `# TYPE`, and a sample a job.
    public static func render(_ report: StatusReport) -> String {
        let mount = mountMetrics(report)
        let jobs = report.jobs.isEmpty ? [] : jobMetrics.flatMap { lines($0, report.jobs) }
        return (mount + jobs).map { $0 + "\n" }.joined()
    }

    /// A label's value with what would end it escaped.
    static func label(_ name: String, _ value: String) -> String {
        let escaped = value.reduce(into: "") { text, character in
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n", "\r\n": text += "\\n"
            default: text.append(character)
            }
        }
        return "\(name)=\"\(escaped)\""
    }

    private static func mountMetrics(_ report: StatusReport) -> [String] {
        let info = [
            label("version", report.version), label("source", report.source),
            label("mountpoint", report.mountpoint),
        ]
        return head("twinfs_info", "What is mounted where.", "gauge")
            + ["twinfs_info{\(info.joined(separator: ","))} 1"]
            + head("twinfs_uptime_seconds", "Since the mount became usable.", "gauge")
            + ["twinfs_uptime_seconds \(report.uptime)"]
            + head("twinfs_generation", "Workers that have served the mount.", "counter")
            + ["twinfs_generation \(report.generation)"]
            + head("twinfs_jobs", "Jobs, ended ones included.", "gauge")
            + ["twinfs_jobs \(report.jobs.count)"]
    }

    private static func lines(_ metric: JobMetric, _ jobs: [JobReport]) -> [String] {
        let samples = jobs.flatMap { job in
            metric.samples(job).map { sample in
                let labels = [label("job", job.id)] + sample.labels.map { label($0.0, $0.1) }
                return "\(metric.name){\(labels.joined(separator: ","))} \(sample.value)"
            }
        }
        return head(metric.name, metric.help, metric.type) + samples
    }

    private static func head(_ name: String, _ help: String, _ type: String) -> [String] {
        ["# HELP \(name) \(help)", "# TYPE \(name) \(type)"]
    }
}
