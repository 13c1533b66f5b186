/// A metric that every job has.
struct JobMetric: Sendable {
    typealias Sample = (labels: [(String, String)], value: Int)

    let name: String
    let help: String
    /// Prometheus's word: `gauge` or `counter`.
    let type: String
    /// None where the value is not known.
    let samples: @Sendable (JobReport) -> [Sample]

    private init(
        _ type: String, _ name: String, _ help: String,
        samples: @escaping @Sendable (JobReport) -> [Sample]
    ) {
        self.name = "twinfs_job_" + name
        self.help = help
        self.type = type
        self.samples = samples
    }

    static func gauge(
        _ name: String, _ help: String, _ value: @escaping @Sendable (JobReport) -> Int?
    ) -> JobMetric {
        JobMetric("gauge", name, help) { job in value(job).map { [([], $0)] } ?? [] }
    }

    static func counter(
        _ name: String, _ help: String, _ value: @escaping @Sendable (JobReport) -> Int
    ) -> JobMetric {
        JobMetric("counter", name, help) { [([], value($0))] }
    }

    /// 1 with the state as a label.
    static func state(
        _ name: String, _ help: String, _ word: @escaping @Sendable (JobReport) -> String
    ) -> JobMetric {
        JobMetric("gauge", name, help) { [([(name, word($0))], 1)] }
    }

    static let errors = JobMetric("counter", "errors_total", "I/O errors met, by side.") { job in
        [([("side", "source")], job.errorsSource), ([("side", "target")], job.errorsTarget)]
    }
}

extension Metrics {
    static let jobMetrics: [JobMetric] = [
        .state("phase", "The phase that the job is in.") { $0.phase.rawValue },
        .state("target_state", "What the twin is worth.") { $0.targetState.rawValue },
        .gauge("in_sync", "1 while the twin equals the source.") {
            StatusText.isInSync($0) ? 1 : 0
        },
        .gauge("ready", "1 while source and twin are kept in sync.") { $0.ready ? 1 : 0 },
        .gauge("paused", "1 while paused, by hand or by an error.") { $0.paused ? 1 : 0 },
        .gauge("converging", "1 while the remainder shrinks.") { $0.converging ? 1 : 0 },
        .gauge("failed", "1 while the job stands with an error.") { $0.error == nil ? 0 : 1 },
        .gauge("length_bytes", "All work known so far; grows with the guest's writes.") { $0.len },
        .gauge("offset_bytes", "Work done; equals length_bytes when in sync.") { $0.offset },
        .gauge("bulk_bytes", "What the bulk phase set out to copy.") { $0.totalBytes },
        .counter("copied_bytes_total", "Written to the target, recopied bytes too.") {
            $0.copiedBytes
        },
        .gauge("dirty_bytes", "May differ, and wait for the copier.") { $0.dirtyBytes },
        .gauge("in_flight_bytes", "Taken by the copier, not finished.") { $0.inFlightBytes },
        .counter("skipped_zero_bytes_total", "Zeroes that were not written.") {
            $0.skippedZeroBytes
        },
        .counter("passes_total", "Times the copier went through what was dirty.") { $0.passes },
        .gauge("speed_limit_bytes_per_second", "Ceiling of the copier; 0 is none.") { $0.speed },
        .gauge("copy_bytes_per_second", "Copied lately.") { $0.rate },
        .gauge("dirty_bytes_per_second", "Dirtied lately.") { $0.dirtyRate },
        .gauge("eta_seconds", "Until in sync; missing where not known.") { $0.eta },
        .gauge("last_pause_microseconds", "How long the last cut held writes.") { $0.lastPauseUs },
        .gauge("expected_pause_microseconds", "How long a cut would hold writes now.") {
            $0.expectedPauseUs
        },
        .gauge("open_handles", "Open handles of the image in the mount.") { $0.opens },
        .errors,
    ]
}
