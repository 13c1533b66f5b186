import MirrorCore
import MirrorEngine
import MirrorSystem
import MirrorTarget
import SystemPackage

/// The directory that is to be served.
enum SourceCheck {
    static func path(_ source: RawArgument) throws -> FilePath {
        let shown = NameText.shown(source.bytes)
        return try TimeLimit.run(shown) {
            do throws(Errno) { return try source.path.resolved() } catch {
                throw failure(error, shown)
            }
        }
    }

    private static func failure(_ error: Errno, _ shown: String) -> Failure {
        switch error {
        case .noSuchFileOrDirectory:
            Failure(.sourceMissing, "\(shown): the source directory does not exist")
        case .notDirectory: Failure(.sourceNotDirectory, "\(shown): the source is no directory")
        default: Failure(.sourceUnreadable, "\(shown): the source cannot be read: \(error)")
        }
    }

    /// Before the directory is opened: a mount that hangs must not hang this.
    static func refuseServed(_ source: FilePath, _ table: MountTable) throws {
        guard let top = table.top(at: source.bytes), top.isTwinfs else { return }
        let shown = NameText.shown(source.bytes)
        if top.mountpoint == source.bytes {
            throw Failure(
                .alreadyMounted,
                "\(shown): is a twinfs mount already; look at it: twinfs status \(shown)")
        }
        throw Failure(
            .mountpointInSource,
            "\(shown): the source lies in the twinfs mount \(NameText.shown(top.mountpoint))")
    }

    static func openAndLock(_ source: FilePath) throws -> FileDescriptor {
        let shown = NameText.shown(source.bytes)
        let directory: FileDescriptor
        do throws(Errno) {
            directory = try .openBacking(source, .readOnly, [.directory])
        } catch { throw failure(error, shown) }
        do throws(Errno) { try directory.lockDirectory() } catch {
            try? directory.close()
            throw Failure(
                .sourceServed,
                "\(shown): another twinfs serves this directory; unmount that one first")
        }
        return directory
    }
}
