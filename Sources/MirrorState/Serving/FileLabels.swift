import MirrorCore
import MirrorSystem
package import SystemPackage

/// What the attributes of a file say of its part in switch-overs.
package struct FileLabels {
    /// That its bytes are old.
    var superseded: SupersededLabel?
    /// That it serves an image: `ID GENERATION`.
    package var serving: String?
    /// Whose twin it says that it is.
    package var image: String?
    /// Whether its filesystem keeps attributes at all.
    package var areKept = true

    /// Of the file that a descriptor holds.
    package init(of node: FileDescriptor) throws(Errno) {
        try self.init(ofSource: node)
        guard areKept else { return }
        serving = try node.nodeAttribute(TwinAttribute.serving)
        image = try node.nodeAttribute(TwinAttribute.image)
    }

    /// The labels that matter on an image's own file, and no others: every open asks this.
    package init(ofSource node: FileDescriptor) throws(Errno) {
        do throws(Errno) {
            superseded = try node.nodeAttribute(TwinAttribute.superseded).map(SupersededLabel.init)
        } catch .notSupported {
            areKept = false
        }
    }
}

extension ServedImages {
    private static let marks = [
        TwinAttribute.superseded, TwinAttribute.serving, TwinAttribute.intent,
    ].map {
        Array($0.utf8)
    }

    /// Whether an attribute of this name says which file serves an image: not for the mount's
    /// users.
    package static func isMark(_ name: some Collection<UInt8>) -> Bool {
        marks.contains { $0.elementsEqual(name) }
    }

    /// Whether a C string is the name of one of our labels.
    package static func isMark(_ name: UnsafePointer<CChar>) -> Bool {
        let prefix = TwinAttribute.prefix
        guard name[0] == CChar(bitPattern: UInt8(ascii: "u")) else { return false }
        let text = String(cString: name)
        return text.hasPrefix(prefix) && isMark(text.utf8)
    }
}

/// Changes of the attributes, not yet durable; none is made on a filesystem that keeps none.
extension FileDescriptor {
    package func mark(superseded mark: SupersededLabel) throws(Errno) {
        try changingMarks { () throws(Errno) in
            try removeNodeAttribute(TwinAttribute.serving)
            try setNodeAttribute(TwinAttribute.superseded, mark.text)
        }
    }

    package func mark(serving mark: String) throws(Errno) {
        try changingMarks { () throws(Errno) in
            try setNodeAttribute(TwinAttribute.serving, mark)
        }
    }

    func unmarkSuperseded() throws(Errno) {
        try changingMarks { () throws(Errno) in
            try removeNodeAttribute(TwinAttribute.superseded)
        }
    }

    private func changingMarks(_ change: () throws(Errno) -> Void) throws(Errno) {
        do throws(Errno) { try change() } catch .notSupported { return }
    }
}
