import MirrorCore
import MirrorImage
import MirrorJob
import MirrorSystem
import MirrorTarget

// `.mirror/checkpoints/IMAGE/NAME`.

extension Engine {
    /// A directory for each component of an image's path, and in the last one a file a checkpoint.
    func checkpointEntries(_ prefix: [[UInt8]]) -> [ControlEntry] {
        var entries: [ControlEntry] = []
        for checkpoint in checkpoints.all {
            let path = checkpoint.image.path.bytes
            let components = path.split(separator: UInt8(ascii: "/")).map(Array.init)
            guard components.starts(with: prefix) else { continue }
            if components.count > prefix.count {
                let name = components[prefix.count]
                if !entries.contains(where: { $0.name == name }) {
                    entries.append((name, .checkpoints(prefix + [name])))
                }
            } else {
                let file = ControlFile.checkpoint(image: path, name: checkpoint.name)
                entries.append((Array(checkpoint.name.utf8), file))
            }
        }
        return entries
    }

    /// What changed so far; empty where the checkpoint is gone.
    func checkpointContent(_ image: [UInt8], _ name: String) -> [UInt8] {
        let found = checkpoints.all.first { $0.image.path.bytes == image && $0.name == name }
        guard let found else { return [] }
        // The size first: what grows meanwhile is in the next look.
        let size = size(of: found)
        return CheckpointReport(
            image: shown(found.image.path), checkpoint: found.name, created: found.created,
            granularity: found.table.granularity.bytes, size: size,
            extents: found.extents(below: size).map {
                .init(start: $0.lowerBound, length: $0.count)
            },
            complete: found.isComplete
        ).json
    }
}
