import FoundationEssentials
package import MirrorCore
import MirrorImage
import MirrorState
import MirrorTarget

extension CheckpointReport {
    /// The content of the file, with a newline at the end.
    package var json: [UInt8] { JSON.bytes(self) + [UInt8(ascii: "\n")] }

    /// The report that such a file holds; nil where the bytes are none.
    package init?(json: [UInt8]) {
        guard let report = try? JSONDecoder().decode(CheckpointReport.self, from: Data(json)) else {
            return nil
        }
        self = report
    }

    /// For people: the name, when it was made (UTC), and how much changed since.
    package var line: String {
        let time = Date(timeIntervalSince1970: Double(created)).ISO8601Format()
        let bytes = ByteSize.text(Int(clamping: changed))
        return "\(NameText.harmless(checkpoint))  \(time)  \(bytes) of"
            + " \(ByteSize.text(Int(clamping: size))) changed"
            + (complete ? "" : " (changes may have been missed: all counts as changed)")
    }
}
