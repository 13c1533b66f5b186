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
    /// Why a report cannot be understood, in words.
    package struct Unreadable: Error { public let reason: String }

    /// The report that `.mirror/status.json` holds. Another version's may have words that this one
    /// does not know.
    package init(json: [UInt8]) throws(Unreadable) {
        do { self = try JSONDecoder().decode(StatusReport.self, from: Data(json)) } catch {
            let words = UnknownWord.words(error)
            let writer = try? JSONDecoder().decode(Writer.self, from: Data(json)).version
            guard let writer, writer != Version.text else { throw Unreadable(reason: words) }
            throw Unreadable(
                reason: "\(words); it was written by version \(NameText.harmless(writer))")
        }
    }

    private struct Writer: Decodable { let version: String }
}
