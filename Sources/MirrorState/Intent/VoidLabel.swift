import MirrorCore
import MirrorSystem
package import SystemPackage

/// What a source and a twin say of the logs that could not be kept: their ids, between blanks.
///
/// What a file says is read and written again: one change of a file at a time (`Image.voidLabels`;
/// a twin has one job).
package enum VoidLabel {
    /// Durable when this returns.
    package static func add(_ id: String, to file: FileDescriptor) throws(Errno) {
        let there = ids(of: file)
        if there.contains(id) { return }
        try file.setAttribute(TwinAttribute.intent, (there + [id]).joined(separator: " "))
        try file.synchronize()
    }

    /// The log of this id is new, and says the truth.
    package static func remove(_ id: String, from file: FileDescriptor) throws(Errno) {
        let there = ids(of: file)
        guard there.contains(id) else { return }
        let left = there.filter { $0 != id }
        if left.isEmpty {
            try file.removeAttribute(TwinAttribute.intent)
        } else {
            try file.setAttribute(TwinAttribute.intent, left.joined(separator: " "))
        }
        try file.synchronize()
    }

    package static func isOn(_ file: FileDescriptor, _ id: String) -> Bool {
        ids(of: file).contains(id)
    }

    private static func ids(of file: FileDescriptor) -> [String] {
        (file.attribute(TwinAttribute.intent) ?? "").split(separator: " ").map(String.init)
    }
}
