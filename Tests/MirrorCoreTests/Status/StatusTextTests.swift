import Testing

@testable import MirrorCore

@Suite("Status for people")
struct StatusTextTests {
    func report(_ jobs: JobReport...) -> StatusReport {
        StatusReport(
            version: "0.1.0", source: "/srv/images", mountpoint: "/mnt/images", uptime: 5122,
            generation: 1, keeperPID: nil, workerPID: 7, jobs: jobs)
    }

    func bulk() -> JobReport {
        var job = JobReport(id: "vm1.img", images: ["vm1.img"], target: "/backup/vm1.img")
        (job.phase, job.len, job.offset) = (.bulk, 10 << 30, 6_227_702_579)
        (job.rate, job.eta, job.dirtyBytes) = (117_755_084, 38, 4 << 30)
        return job
    }

    func ready() -> JobReport {
        var job = bulk()
        (job.phase, job.ready, job.offset, job.dirtyBytes) = (.ready, true, job.len, 0)
        (job.targetState, job.eta) = (.consistent, nil)
        return job
    }

    @Test("a job that copies is one line with everything on it")
    func copying() {
        #expect(
            StatusText.render(report(bulk())) == """
                twinfs 0.1.0  /mnt/images  (source /srv/images)  up 1h 25m
                vm1.img  bulk   [#########·······]   57 %  5.7 GiB of 10.0 GiB  112.2 MiB/s  ETA 38s  \
                twin inconsistent  -> /backup/vm1.img

                """)
    }

    @Test("a mount without jobs says how to start one")
    func noJobs() {
        #expect(StatusText.render(report()).contains("twinfs mirror IMAGE target="))
    }

    @Test("only a job in sync shows 100 %")
    func percent() {
        var job = ready()
        #expect(StatusText.percent(job) == 100)
        #expect(StatusText.line(job).contains("[################]  100 %"))
        #expect(StatusText.line(job).contains("in sync"))
        job.dirtyBytes = 1
        #expect(StatusText.percent(job) == 99)
        #expect(!StatusText.bar(job).contains("################"))
        (job.dirtyBytes, job.inFlightBytes) = (0, 1)
        #expect(StatusText.percent(job) == 99)
        (job.inFlightBytes, job.phase) = (0, .failed)
        #expect(StatusText.percent(job) == 99)
        job.phase = .completed
        #expect(StatusText.percent(job) == 100)
    }

    @Test("progress is a number for every length, also nonsense")
    func extremes() {
        var job = bulk()
        for (offset, len) in [
            (0, 0), (5, 0), (-1, 10), (Int.max, 1), (Int.max, Int.max), (1, .max),
        ] {
            (job.offset, job.len) = (offset, len)
            #expect((0...99).contains(StatusText.percent(job)))
            #expect(StatusText.bar(job).count == StatusText.barWidth + 2)
        }
    }

    @Test("a job that does not converge says so instead of an ETA, and what to do")
    func notConverging() {
        var job = bulk()
        (job.converging, job.dirtyRate) = (false, 200 << 20)
        let text = StatusText.render(report(job))
        #expect(text.contains("not converging") && !text.contains("ETA"))
        #expect(text.contains("    ! not converging: the guest changes 200.0 MiB/s"))
        #expect(text.contains("twinfs set /mnt/images/vm1.img speed=0"))
    }

    @Test("an error stands under its job, with what to do")
    func errors() {
        var job = bulk()
        (job.error, job.paused) = ("write /backup/vm1.img: I/O error", true)
        let stopped = StatusText.render(report(job))
        #expect(stopped.contains("  paused  "))
        #expect(stopped.contains("\n    ! stopped: write /backup/vm1.img: I/O error\n"))
        #expect(stopped.contains("twinfs resume /mnt/images/vm1.img"))
        job.ioStatus = .nospace
        #expect(StatusText.render(report(job)).contains("free space on the target"))
        job.phase = .failed
        #expect(StatusText.render(report(job)).contains("twinfs dismiss /mnt/images/vm1.img"))
        job.phase = .cancelled
        #expect(StatusText.render(report(job)).contains("! cancelled: "))
    }

    @Test("names from outside cannot start a line or move the cursor")
    func names() {
        var job = bulk()
        (job.id, job.target, job.error) = ("a\n\u{1b}[2J", "/b\nc", "d\ne")
        job.paused = true
        let text = StatusText.render(report(job))
        #expect(text.split(separator: "\n").count == 4)
        #expect(text.contains("a\\x0a\\x1b[2J") && text.contains("/b\\x0ac"))
    }

    static let durations: [(Int, String)] = [
        (0, "0s"), (59, "59s"), (60, "1m 0s"), (3599, "59m 59s"), (3600, "1h 0m"), (90000, "1d 1h"),
        (-1, "0s"),
    ]

    @Test("a duration has two units at most", arguments: durations)
    func duration(seconds: Int, text: String) { #expect(StatusText.duration(seconds) == text) }
}
