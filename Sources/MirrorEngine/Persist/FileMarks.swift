import MirrorSystem
import SystemPackage

/// What the attributes of a file say of its part in switch-overs.
struct FileMarks {
    /// That its bytes are old.
    var superseded: SupersededMark?
    /// That it serves an image: `ID GENERATION`.
    var serving: String?
    /// Whether its filesystem keeps attributes at all.
    var areKept = true

    /// Of the file that a descriptor holds.
    init(of node: FileDescriptor) throws(Errno) {
        do throws(Errno) {
            superseded = try node.nodeAttribute(SupersededMark.attribute).map(SupersededMark.init)
            serving = try node.nodeAttribute(SupersededMark.servingAttribute)
        } catch .notSupported {
            areKept = false
        }
    }
}

/// Changes of the attributes. Each is durable when it returns; none is made on a filesystem that keeps none.
extension FileDescriptor {
    func mark(superseded mark: SupersededMark) throws(Errno) {
        try changingMarks { () throws(Errno) in
            try removeNodeAttribute(SupersededMark.servingAttribute)
            try setNodeAttribute(SupersededMark.attribute, mark.text)
        }
    }

    func mark(serving mark: String) throws(Errno) {
        try changingMarks { () throws(Errno) in
            try setNodeAttribute(SupersededMark.servingAttribute, mark)
        }
    }

    func unmarkSuperseded() throws(Errno) {
        try changingMarks { () throws(Errno) in
            try removeNodeAttribute(SupersededMark.attribute)
        }
    }

    private func changingMarks(_ change: () throws(Errno) -> Void) throws(Errno) {
        do throws(Errno) { try change() } catch .notSupported { return }
        try synchronizeNode()
    }
}
