import MirrorCore
import MirrorSystem
import MirrorTarget
import SystemPackage

/// Where a mount keeps what must outlive its daemon. Nothing is made here: the engine does when it
/// first has something to keep.
enum StateCheck {
    /// - Parameter asked: `statedir=`; nil for the usual place.
    /// - Returns: nil where nothing is asked for and the user has no home.
    static func path(
        _ asked: [UInt8]?, source: FilePath, _ mountpoint: FilePath
    ) throws -> FilePath? {
        guard let place = asked.map({ FilePath(bytes: $0) }) ?? usual(source) else { return nil }
        let shown = NameText.shown(place.bytes)
        let path = try TimeLimit.run(shown) { () throws -> FilePath in
            do throws(Errno) { return try resolved(place) } catch {
                // Nobody asked for the usual place, and many mounts never need it.
                if asked == nil { return place }
                throw Failure(
                    .badOption, "statedir=\(shown): cannot hold the state of a mount: \(error)")
            }
        }
        // Writing state would then be a write to the mount, which waits for the state.
        guard !path.starts(with: source), !path.starts(with: mountpoint) else {
            throw Failure(
                .badOption,
                "\(shown): the state of a mount cannot lie in its source or mountpoint; choose another"
                    + " directory with -o statedir=")
        }
        return path
    }

    /// A line in the log must not wait for the mount that it tells of: `log=` elsewhere.
    static func checkLog(_ log: [UInt8]?, source: FilePath, _ mountpoint: FilePath) throws {
        guard let log else { return }
        let shown = NameText.shown(log)
        let path = try TimeLimit.run(shown) { () throws -> FilePath in
            let file = FilePath(bytes: log)
            if let found = try? file.resolved() { return found }
            let directory = file.removingLastComponent()
            do throws(Errno) {
                return try (directory.isEmpty ? "." : directory).resolved()
            } catch { throw Failure(.badOption, "log=\(shown): \(error)") }
        }
        guard !path.starts(with: source), !path.starts(with: mountpoint) else {
            throw Failure(
                .badOption,
                "log=\(shown): the log of a mount cannot lie in its source or mountpoint")
        }
    }

    private static func usual(_ source: FilePath) -> FilePath? {
        StatePlace.usual(
            MountID.of(source.bytes), isRoot: DaemonProcess.isRoot,
            stateHome: Environment["XDG_STATE_HOME"], home: Environment["HOME"] ?? Accounts.home
        ).map { FilePath($0) }
    }

    /// Absolute and without links, as far as it exists.
    private static func resolved(_ place: FilePath) throws(Errno) -> FilePath {
        var (existing, missing) = (place, [FilePath.Component]())
        while true {
            do throws(Errno) {
                let found = try existing.resolved()
                guard try found.status().kind == .directory else { throw .notDirectory }
                let path = missing.reversed().reduce(found) { $0.appending($1) }
                return path.lexicallyNormalized()
            } catch {
                guard error == .noSuchFileOrDirectory, let name = existing.lastComponent else {
                    throw error
                }
                missing.append(name)
                existing.removeLastComponent()
            }
        }
    }
}
