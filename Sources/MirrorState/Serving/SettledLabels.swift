import Logging
import MirrorCore
import MirrorSystem
import MirrorTarget
import SystemPackage

/// The attributes that follow from a record. Best effort: the record alone decides what is served.
struct SettledLabels: Sendable {
    private let record: ServingRecord
    private let home: HeldNode
    private let backing: Backing?
    /// What served the image before, if that was not its own file.
    private let former: Backing?
    private let homePath: FilePath
    /// Whether the image's own file says what it should.
    private var isHomeRight = false
    /// Files that were changed, and are to be made durable.
    private var changed: [HeldNode] = []

    /// - Parameter sourcePath: of the source directory.
    init(_ entry: ServedImages.Entry, _ sourcePath: FilePath, former: Backing? = nil) {
        (record, home, backing) = (entry.record, entry.home, entry.backing)
        homePath = sourcePath.pushing(entry.record.imagePath)
        self.former = former
    }

    /// Marks every file as the record says, not yet durably.
    mutating func apply(_ log: Logger) {
        let mark = record.supersededMark(by: record.twin?.filePath ?? homePath)
        markHome(mark, log)
        unmarkTwin(log)
        markFormer(mark, log)
    }

    /// Makes it durable; takes as long as the files have to be written back. False where the
    /// image's own file is not marked as it should be.
    func synchronize(_ log: Logger) -> Bool {
        for node in changed {
            let isDone = attempt(log, node.descriptor) { (node) throws(Errno) in
                try node.synchronizeNode()
            }
            if !isDone { return false }
        }
        return isHomeRight
    }

    private mutating func markHome(_ mark: SupersededLabel, _ log: Logger) {
        let wanted = record.twin == nil ? nil : mark
        guard let marks = try? FileLabels(ofSource: home.descriptor) else { return }
        if marks.superseded == wanted || !marks.areKept {
            isHomeRight = true
            return
        }
        isHomeRight = attempt(log, home.descriptor) { (node) throws(Errno) in
            if let wanted { try node.mark(superseded: wanted) } else { try node.unmarkSuperseded() }
        }
        changed.append(home)
    }

    private mutating func unmarkTwin(_ log: Logger) {
        guard let backing, !backing.isDevice,
            let marks = try? FileLabels(of: backing.node), marks.superseded != nil
        else { return }
        _ = attempt(log, backing.node) { (node) throws(Errno) in try node.unmarkSuperseded() }
        if let node = try? backing.node.duplicated() { changed.append(HeldNode(node)) }
    }

    /// Only a file that still says of itself that it serves the image: a path may mean another by
    /// now.
    private mutating func markFormer(_ mark: SupersededLabel, _ log: Logger) {
        guard let past = record.replaces, let node = openFormer(past),
            let status = try? node.descriptor.status(), status.kind == .regular,
            let serving = (try? FileLabels(of: node.descriptor))?.serving,
            serving.split(separator: " ").first.map(String.init) == past.id
        else { return }
        _ = attempt(log, node.descriptor) { (node) throws(Errno) in
            try node.mark(superseded: mark)
            // It was this image's, and may be taken as a twin of it again.
            try node.setNodeAttribute(TwinAttribute.image, record.image)
        }
        changed.append(node)
    }

    private func openFormer(_ past: ServingRecord.Past) -> HeldNode? {
        if let former { return (try? former.node.duplicated()).map(HeldNode.init) }
        return (try? FileDescriptor.openNode(at: FilePath(shown: past.twin))).map(HeldNode.init)
    }

    private func attempt(
        _ log: Logger, _ node: FileDescriptor, _ body: (FileDescriptor) throws(Errno) -> Void
    ) -> Bool {
        do throws(Errno) {
            try body(node)
            return true
        } catch {
            log.warning("\(record.image): cannot mark which file serves it: \(error)")
            return false
        }
    }
}
