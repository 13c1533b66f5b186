import MirrorCore
import MirrorEngine
import MirrorSystem
import MirrorTarget
import SystemPackage

/// Where the mount is to lie.
enum MountpointCheck {
    static func path(
        _ mountpoint: RawArgument?, source: FilePath, _ table: MountTable
    ) throws -> FilePath {
        guard let mountpoint else { return source }
        let shown = NameText.shown(mountpoint.bytes)
        let path = try resolved(mountpoint, shown)
        if path == source { return source }
        try refuseMounted(path, source, table, shown)
        if path.starts(with: source) {
            throw Failure(
                .mountpointInSource,
                "\(shown): lies inside the source; mount over the source itself, or elsewhere")
        }
        try refuseFull(path, shown)
        return path
    }

    private static func resolved(_ mountpoint: RawArgument, _ shown: String) throws -> FilePath {
        try TimeLimit.run(shown) {
            do throws(Errno) { return try mountpoint.path.resolved() } catch {
                switch error {
                case .noSuchFileOrDirectory:
                    throw Failure(
                        .mountpointMissing,
                        "\(shown): the mountpoint does not exist; make it: mkdir")
                case .notDirectory:
                    throw Failure(.mountpointNotDirectory, "\(shown): is no directory")
                default: throw Failure(.mountFailed, "\(shown): \(error)")
                }
            }
        }
    }

    private static func refuseMounted(
        _ path: FilePath, _ source: FilePath, _ table: MountTable, _ shown: String
    ) throws {
        guard let top = table.top(at: path.bytes), top.isTwinfs else { return }
        if top.mountpoint != path.bytes {
            throw Failure(.mountpointInSource, "\(shown): lies in another twinfs mount")
        }
        let what = top.source == source.bytes ? "this source" : NameText.shown(top.source)
        throw Failure(.alreadyMounted, "\(shown): has \(what) mounted already")
    }

    private static func refuseFull(_ path: FilePath, _ shown: String) throws {
        do throws(Errno) {
            guard try path.status().kind == .directory else {
                throw Errno.notDirectory
            }
            if try path.isEmptyDirectory() { return }
        } catch {
            if error == .notDirectory {
                throw Failure(.mountpointNotDirectory, "\(shown): the mountpoint is no directory")
            }
            throw Failure(.mountFailed, "\(shown): \(error)")
        }
        throw Failure(
            .mountpointNotEmpty,
            "\(shown): is not empty, and a mount would hide what is in it; use an empty directory")
    }
}
