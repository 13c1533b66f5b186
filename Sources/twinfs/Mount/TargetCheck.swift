import MirrorCore
import MirrorSystem
import MirrorTarget
import SystemPackage

/// `target=` of a mount.
enum TargetCheck {
    static func path(
        _ target: [UInt8]?, source: FilePath, _ mountpoint: FilePath
    ) throws -> FilePath? {
        guard let target else { return nil }
        let shown = "target=\(NameText.shown(target))"
        let path: FilePath
        do throws(Errno) {
            path = try FilePath(bytes: target).resolved()
            guard try path.status().kind == .directory else { throw .notDirectory }
        } catch {
            throw Failure(.badTarget, "\(shown): must be an existing directory: \(error)")
        }
        if path == source { throw Failure(.badTarget, "\(shown): is the source itself") }
        if path.starts(with: mountpoint) || path.starts(with: source) {
            throw Failure(.badTarget, "\(shown): lies inside the mount; choose another directory")
        }
        if source.starts(with: path) {
            throw Failure(.badTarget, "\(shown): the source lies in it; choose another directory")
        }
        return path
    }
}
