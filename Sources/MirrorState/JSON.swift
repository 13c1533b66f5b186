import FoundationEssentials
package import MirrorCore

/// JSON of the control path; never on the path of a guest's request.
package enum JSON {
    /// One line without its newline, keys in a stable order.
    package static func bytes(_ value: some Encodable, isPretty: Bool = false) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            isPretty
            ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
            : [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else {
            preconditionFailure("a report that JSON cannot hold")
        }
        return Array(data)
    }
}

extension StatusReport {
    /// The report that `.mirror/status.json` holds; nil where the bytes are none.
    package init?(json: [UInt8]) {
        guard let report = try? JSONDecoder().decode(StatusReport.self, from: Data(json)) else {
            return nil
        }
        self = report
    }
}
