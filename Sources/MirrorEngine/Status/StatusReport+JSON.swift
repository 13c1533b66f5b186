package import MirrorCore
import MirrorState

extension StatusReport {
    /// The content of `status.json`, with a newline at the end.
    package var json: [UInt8] { JSON.bytes(self, isPretty: true) + [UInt8(ascii: "\n")] }
}
