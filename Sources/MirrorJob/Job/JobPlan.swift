package import MirrorCore
import MirrorState
import MirrorSystem
import MirrorTarget
package import SystemPackage

/// What a job is made of once everything that can be refused has been looked at.
package struct JobPlan {
    package let members: [MemberPlan]
    package let parameters: JobParameters
    /// Names the job, and no other anywhere.
    package let uuid: String
    /// Seconds since 1970.
    package let created: Int
    /// What is left of an earlier life; nil for a job that begins.
    package let past: Resumption?

    /// Opens images and targets for `paths` (relative to the source directory) and for all that
    /// they refer to. Blocks; runs on a queue of its own. Whatever is refused leaves nothing
    /// created.
    package init(_ paths: [FilePath], _ parameters: JobParameters, _ host: any JobHost)
        throws(CommandError)
    {
        self.parameters = parameters
        (uuid, created, past) = (RandomID.make(), WallClock.now.seconds, nil)
        let all = try Self.withReferences(paths, parameters, host)
        try Self.refuseWithoutRoom(for: all)
        var members: [MemberPlan] = []
        do throws(CommandError) {
            for path in all {
                let member = try MemberPlan(path, parameters, isAlone: all.count == 1, host)
                members.append(member)
                try Self.refuseTwice(members)
            }
        } catch {
            // The last one first: the first has made the directories that the others lie in.
            for member in members.reversed() { member.undo(host) }
            throw error
        }
        self.members = members
    }

    /// A job that comes back.
    package init(returning members: [MemberPlan], _ parameters: JobParameters, _ past: Resumption) {
        (self.members, self.parameters, self.past) = (members, parameters, past)
        (uuid, created) = (past.record.uuid, past.record.created)
    }

    /// Says on every twin whose it is. Before the job begins: where a twin cannot say it, nothing
    /// begins.
    package func stamp(_ host: any JobHost) throws(CommandError) {
        for member in members {
            do throws(Errno) {
                try member.twin.stamp(JobStamp(uuid: uuid, generation: 1))
            } catch {
                for member in members.reversed() { member.undo(host) }
                throw .target(member.twin.place.path, error)
            }
        }
    }

    /// `sync=full` means all that the headers refer to.
    private static func withReferences(
        _ paths: [FilePath], _ parameters: JobParameters, _ host: any JobHost
    ) throws(CommandError) -> [FilePath] {
        guard parameters.sync == .full else { return paths }
        var all = paths
        for path in paths {
            for member in try members(of: path, host) where !all.contains(member) {
                all.append(member)
            }
        }
        return all
    }

    /// Every file that an image needs to open, the image first.
    private static func members(
        of path: FilePath, _ host: any JobHost
    ) throws(CommandError) -> [FilePath] {
        let directories = [host.sourcePath, host.mountpoint]
        let source = ImageClosure.Source(
            directories: directories.map(\.bytes), look: { host.presence(of: $0) },
            read: { path, offset, count in
                guard let file = host.openForLook(path) else { return nil }
                defer { try? file.close() }
                // Nil, not nothing, where the disk fails: a header that cannot be read is not taken
                // for raw.
                return try? file.readBytes(at: offset, count: count)
            })
        // What cannot be opened has its own message where it is.
        guard host.presence(of: path.bytes) == .file else { return [path] }
        return try ImageClosure(of: path.bytes, in: source).members.map { FilePath(bytes: $0.path) }
    }

    /// What a member keeps open: image, twin, tables, log, the keeper's copies.
    private static let descriptors = 12

    /// Guests open files too, and get errors where jobs have used up the descriptors: an eighth is
    /// theirs.
    private static func refuseWithoutRoom(for paths: [FilePath]) throws(CommandError) {
        guard let (most, lowestFree) = try? DaemonProcess.descriptors(),
            lowestFree + paths.count * descriptors > most - most / 8
        else { return }
        throw CommandError(
            .io,
            "image \(shown(paths[0])): the daemon may have \(most) open files, and has too few left for another job"
                + " and for guests; end jobs, or allow more (ulimit -Hn, LimitNOFILE=) and mount again"
        )
    }

    private static func refuseTwice(_ members: [MemberPlan]) throws(CommandError) {
        guard let last = members.last else { return }
        for other in members.dropLast() {
            if other.image === last.image {
                throw CommandError(
                    .badValue,
                    "image \(shown(last.path)): is the same file as \(shown(other.path)); name it once"
                )
            }
        }
    }
}

extension JobHost {
    fileprivate func openForLook(_ path: [UInt8]) -> FileDescriptor? {
        try? openBacking(of: FilePath(bytes: path)).descriptor
    }

    fileprivate func presence(of path: [UInt8]) -> ImageClosure.Presence {
        do throws(Errno) {
            let file = try openBacking(of: FilePath(bytes: path))
            defer { try? file.descriptor.close() }
            return file.own.kind == .regular ? .file : .unusable("is not a regular file")
        } catch .noSuchFileOrDirectory {
            return .missing
        } catch {
            return .unusable("cannot be opened (\(error))")
        }
    }
}
