import FoundationEssentials
import MirrorCore

/// Why JSON that another twinfs has written cannot be understood, in words.
package enum UnknownWord {
    package static func words(_ error: any Error) -> String {
        guard let error = error as? DecodingError, let path = path(of: error) else {
            return "what it says cannot be understood"
        }
        return "what it says at \(path) is not known to this version (\(Version.text))"
    }

    /// `members.0.kind`: where it stands.
    private static func path(of error: DecodingError) -> String? {
        let keys: [any CodingKey] =
            switch error {
            case .dataCorrupted(let context), .typeMismatch(_, let context),
                .valueNotFound(_, let context):
                context.codingPath
            case .keyNotFound(let key, let context): context.codingPath + [key]
            @unknown default: []
            }
        if keys.isEmpty { return nil }
        return keys.map { key in key.intValue.map { "\($0)" } ?? key.stringValue }
            .joined(separator: ".")
    }
}
