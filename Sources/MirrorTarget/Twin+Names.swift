package import MirrorCore
import MirrorSystem
package import SystemPackage

extension Twin {
    /// Free bytes of the twin's filesystem; nil where it needs none of them any more, or nobody can
    /// tell.
    package func room() -> Int? {
        guard let file, let status = try? file.descriptor.status(), status.allocated < status.size
        else { return nil }
        return (try? file.descriptor.availableSpace()).map { Int(clamping: $0) }
    }
}

// Names and attributes; nothing is done where the target has none.

extension Twin {
    /// Gives the twin its name: from here on a file of that name was in sync at least once. The
    /// data was flushed before; the directory is flushed here.
    package func publish() throws(Errno) {
        try filter?.willPublish()
        try file?.publish()
    }

    /// Writes the list of what a delta holds beside it, as a whole or not at all.
    package func saveExtents(_ list: [UInt8]) throws(Errno) { try file?.saveExtents(list) }

    /// Says in the twin's attributes what it is worth. Filesystems without attributes keep no
    /// state.
    package func annotate(_ state: TwinWorth, _ more: [(name: String, value: String)] = []) {
        file?.annotate(state, more)
    }

    /// Says in the twin's attributes what it is worth, durably when this returns.
    package func annotateDurably(
        _ state: TwinWorth, _ more: [(name: String, value: String)] = []
    ) throws(Errno) {
        try file?.annotateDurably(state, more)
    }

    /// Says durably which job writes the twin, so that a later one that comes back knows its own.
    package func stamp(_ stamp: JobStamp) throws(Errno) { try file?.stamp(stamp) }

    /// The file serves as an image from here on: it is nobody's twin.
    package func removeAnnotations() { file?.removeAnnotations() }
}
