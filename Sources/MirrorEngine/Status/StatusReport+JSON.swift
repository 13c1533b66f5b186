internal import FoundationEssentials
public import MirrorCore

extension StatusReport {
    /// The report that a mount wrote into `status.json`; nil where `json` is none.
    public init?(json: [UInt8]) {
        guard let report = try? JSONDecoder().decode(StatusReport.self, from: Data(json)) else {
            return nil
        }
        self = report
    }

    /// The content of `status.json`, with a newline at the end. Keys are sorted, so that two reports
    /// can be compared line by line.
    public var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Integers, strings and booleans: nothing in a report can fail to encode.
        return Array((try? encoder.encode(self)) ?? Data("{}".utf8)) + [UInt8(ascii: "\n")]
    }
}
