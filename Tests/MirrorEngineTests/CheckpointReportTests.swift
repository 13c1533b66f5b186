import MirrorCore
import MirrorEngine
import Testing

@testable import MirrorImage
@testable import MirrorJob
@testable import MirrorState
@testable import MirrorTarget

@Suite struct CheckpointReportTests {
    let report = CheckpointReport(
        image: "vm1.img", checkpoint: "monday", created: 86400, granularity: 4096, size: 1 << 20,
        extents: [.init(start: 0, length: 4096), .init(start: 8192, length: 8192)])

    @Test func `a report is read back from its JSON, which has the promised keys`() {
        let text = """
            {"checkpoint":"monday","complete":true,"created":86400,"extents":[{"length":4096,"start":0},\
            {"length":8192,"start":8192}],"granularity":4096,"image":"vm1.img","size":1048576}

            """
        #expect(String(decoding: report.json, as: UTF8.self) == text)
        #expect(CheckpointReport(json: Array(text.utf8)) == report)
    }

    @Test func `people see name, time and what changed`() {
        #expect(report.changed == 12288)
        #expect(report.line == "monday  1970-01-02T00:00:00Z  12.0 KiB of 1.0 MiB changed")
    }

    @Test(arguments: ["", "{}", "[]", "{\"image\":\"a\"}", "\u{0}"])
    func `anything else is no report`(text: String) {
        #expect(CheckpointReport(json: Array(text.utf8)) == nil)
    }

    @Test func `sizes that nobody has do not trap`() {
        var report = report
        report.size = .max
        report.extents = [.init(start: 0, length: .max), .init(start: 0, length: .max)]
        #expect(report.changed == .max)
        #expect(report.line.hasSuffix("8388607.9 TiB of 8388607.9 TiB changed"))
    }
}
