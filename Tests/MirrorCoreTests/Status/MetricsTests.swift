import Testing

@testable import MirrorCore

@Suite("Metrics")
struct MetricsTests {
    func render(_ id: String = "vm1.img") -> String {
        var job = JobReport(id: id, images: [id], target: "/backup/vm1.img")
        (job.phase, job.dirtyBytes, job.errorsTarget) = (.bulk, 4096, 2)
        return Metrics.render(
            StatusReport(
                version: "0.1.0", source: "/srv/a\"b", mountpoint: "/mnt", uptime: 5, generation: 1,
                keeperPID: nil, workerPID: 7, jobs: [job]))
    }

    @Test("every sample belongs to a metric with help and type")
    func shape() {
        var known = Set<Substring>()
        for line in render().split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("# HELP ") { known.insert(words[2]) }
            if line.hasPrefix("#") { continue }
            #expect(known.contains(line.prefix { $0 != "{" && $0 != " " }), "\(line)")
            #expect(Int(words.last ?? "") != nil, "\(line)")
        }
        #expect(known.count > 20)
    }

    @Test("a job's values are there under its id")
    func values() {
        let text = render()
        #expect(text.contains("\ntwinfs_job_dirty_bytes{job=\"vm1.img\"} 4096\n"))
        #expect(text.contains("\ntwinfs_job_errors_total{job=\"vm1.img\",side=\"target\"} 2\n"))
        #expect(text.contains("\ntwinfs_job_phase{job=\"vm1.img\",phase=\"bulk\"} 1\n"))
        #expect(text.contains("# TYPE twinfs_job_copied_bytes_total counter\n"))
        #expect(!text.contains("twinfs_job_eta_seconds{"))
    }

    @Test("labels of metrics are escaped")
    func labels() {
        #expect(render().contains("source=\"/srv/a\\\"b\""))
        #expect(render("a\n\\\"").contains("{job=\"a\\n\\\\\\\"\"}"))
    }
}
