import MirrorCore
import MirrorEngine
import MirrorState
import MirrorSystem
import MirrorTarget
import SystemPackage

/// A mount, and what is asked about in it.
struct Mounted: Hashable {
    let mountpoint: FilePath
    /// Ids of jobs or images, relative to the mountpoint; empty for the whole mount.
    var names: [[UInt8]] = []

    /// The kernel's table of mounts.
    static func table() throws -> MountTable {
        MountTable(try FilePath("/proc/self/mountinfo").content())
    }

    /// The mounts that `paths` lie in, each with the names in it; every mount there is for no path.
    static func find(_ paths: [RawArgument]) throws -> [Mounted] {
        let table = try table()
        if paths.isEmpty {
            let all = table.twinfs.map { Mounted(mountpoint: FilePath(bytes: $0.mountpoint)) }
            if all.isEmpty { throw Failure(.notMounted, "no twinfs is mounted here") }
            return all
        }
        var found: [Mounted] = []
        for path in paths {
            let place = try find(path, table)
            if let index = found.firstIndex(where: { $0.mountpoint == place.mountpoint }) {
                found[index].names += place.names
            } else {
                found.append(place)
            }
        }
        return found
    }

    /// The mount and the name in it that one path leads to.
    static func find(_ path: RawArgument, _ table: MountTable) throws -> Mounted {
        let shown = NameText.shown(path.bytes)
        let named = try TimeLimit.run(shown) { try resolved(path, shown) }
        // A link elsewhere may lead into a mount; one inside is an entry of the mount itself.
        let place =
            try table.place(of: named)
            ?? TimeLimit.run(shown) { try? path.path.resolved() }.flatMap {
                table.place(of: $0.bytes)
            }
        guard let place else {
            throw Failure(
                .notMounted,
                "\(shown): lies in no twinfs mount; mount its directory first (twinfs SOURCE)")
        }
        return Mounted(
            mountpoint: FilePath(bytes: place.mountpoint),
            names: place.path.isEmpty ? [] : [place.path])
    }

    /// Absolute; links in the directory are followed, the last name need not exist (a job
    /// `vm1.img#2`).
    private static func resolved(_ path: RawArgument, _ shown: String) throws -> [UInt8] {
        if path.bytes.last == UInt8(ascii: "/") || [".", ".."].contains(path.path.lastComponent) {
            return try whole(path.path, shown).bytes
        }
        guard let name = path.path.lastComponent else { return try whole(path.path, shown).bytes }
        let directory = path.path.removingLastComponent()
        return try whole(directory.isEmpty ? "." : directory, shown).appending(name).bytes
    }

    private static func whole(_ path: FilePath, _ shown: String) throws -> FilePath {
        do throws(Errno) { return try path.resolved() } catch {
            throw Failure(.notMounted, "\(shown): \(error)")
        }
    }

    static func noAnswer(_ shown: String) -> Failure {
        Failure(
            .noAnswer,
            "\(shown): the mount did not answer within \(TimeLimit.seconds) s; look whether its daemon"
                + " lives (ps -C twinfs), and what its log says")
    }
}

extension Mounted {
    var shown: String { NameText.shown(mountpoint.bytes) }

    func file(_ name: FilePath.Component) -> FilePath {
        mountpoint.appending(".mirror").appending(name)
    }

    /// What the mount says of itself, jobs that were not asked about left out.
    func report() throws -> StatusReport {
        let path = file("status.json")
        let json = try TimeLimit.run(shown) { try Self.read(path) }
        var report: StatusReport
        do throws(StatusReport.Unreadable) { report = try StatusReport(json: json) } catch {
            throw Failure(
                .failure,
                "\(shown): its status.json cannot be used: \(error.reason); read"
                    + " \(shown)/.mirror/status, or use the twinfs of the version that serves it")
        }
        if !names.isEmpty { report.jobs.removeAll { !isAskedFor($0) } }
        return report
    }

    static func read(_ path: FilePath) throws -> [UInt8] {
        do throws(Errno) { return try path.content() } catch {
            let reason: ExitReason = error == .permissionDenied ? .notPermitted : .failure
            throw Failure(reason, "\(NameText.shown(path.bytes)): \(error)")
        }
    }

    /// A job is meant by its id, or by its image or a directory that this lies in.
    private func isAskedFor(_ job: JobReport) -> Bool {
        names.contains { name in
            let forms = [String(validating: name, as: UTF8.self), NameText.shown(name)].compactMap(
                \.self)
            return forms.contains { form in
                job.id == form
                    || job.images.contains { $0 == form || $0.hasPrefix(form + "/") }
            }
        }
    }

    /// The names for which the report has no job.
    func missing(in report: StatusReport) -> [String] {
        names.filter { name in
            let alone = Mounted(mountpoint: mountpoint, names: [name])
            return !report.jobs.contains { alone.isAskedFor($0) }
        }
        .map { NameText.shown($0) }
    }
}
