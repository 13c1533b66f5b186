import MirrorCore
import MirrorSystem
import SystemPackage

/// What the start of a twin has changed so far, to be taken back where it fails.
struct TwinChanges {
    var madeDirectories: [FilePath] = []
    var madeFile: FilePath?
    var opened: [FileDescriptor] = []
    var renamed: (file: FilePath, from: FilePath)?
    var annotated: Annotated?

    /// A file that was taken over, and the attributes that it had.
    struct Annotated {
        private let file: FileDescriptor
        private let old: [(name: String, value: String?)]

        init(_ file: FileDescriptor) {
            self.file = file
            old = [TwinAttribute.state, TwinAttribute.image, TwinAttribute.checkpoints].map {
                ($0, file.attribute($0))
            }
        }

        func undo() {
            for (name, value) in old {
                if let value {
                    try? file.setAttribute(name, value)
                } else {
                    try? file.removeAttribute(name)
                }
            }
        }
    }

    func undo() {
        annotated?.undo()
        if let (file, name) = renamed { try? file.replace(name) }
        for descriptor in opened { try? descriptor.close() }
        if let madeFile { try? madeFile.removeFile() }
        for directory in madeDirectories.reversed() { try? directory.removeDirectory() }
    }
}
