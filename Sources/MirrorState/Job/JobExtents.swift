import FoundationEssentials
package import MirrorCore
package import MirrorSystem
import SystemPackage

/// The content of `marks-UUID-MEMBER.json`: what differed when the mount ended in order, and both
/// sides as they were then. One mount believes it: it is gone from the disk before anybody can
/// write.
package struct JobExtents: Codable, Sendable {
    package let job: String
    package let member: Int
    package let source: Stamp
    package let twin: Stamp
    /// Start and length, in bytes.
    package let extents: [[UInt64]]
    /// Of a delta: what it holds.
    package let written: [[UInt64]]?

    /// A file at an instant. Its device number is not kept: it changes with a boot.
    package struct Stamp: Codable, KeptTimes, Sendable {
        package let inode: UInt64
        package let size: UInt64
        /// Nanoseconds since 1970: of its bytes, and of anything of it.
        package let modified: Int64
        package let changed: Int64

        init(_ status: FileStatus) {
            (inode, size) = (status.identity.inode, status.size)
            (modified, changed) = (status.modified, status.changed)
        }
    }

    package init(
        _ job: String, _ member: Int, _ table: DirtyTable, written: DirtyTable?,
        source: FileStatus, twin: FileStatus
    ) {
        (self.job, self.member) = (job, member)
        (self.source, self.twin) = (Stamp(source), Stamp(twin))
        extents = Self.extents(table)
        self.written = written.map(Self.extents)
    }

    private static func extents(_ table: DirtyTable) -> [[UInt64]] {
        table.dirtyExtents(limit: .max).map { [$0.lowerBound, $0.count] }
    }

    package static func name(_ job: String, _ member: Int) -> String {
        "marks-\(job)-\(member).json"
    }

    package var bytes: [UInt8] { SealedText.seal(JSON.bytes(self) + [UInt8(ascii: "\n")]) }

    /// Nil where the bytes are not what was written for this member of this job.
    package init?(_ bytes: [UInt8], _ job: String, _ member: Int) {
        guard let body = try? SealedText.open(bytes),
            let marks = try? JSONDecoder().decode(JobExtents.self, from: Data(body)),
            marks.job == job, marks.member == member,
            Plausible.are(marks.extents + (marks.written ?? []))
        else { return nil }
        self = marks
    }

    package var ranges: [ByteRange] { Self.ranges(extents) }
    package var writtenRanges: [ByteRange] { Self.ranges(written ?? []) }

    private static func ranges(_ extents: [[UInt64]]) -> [ByteRange] {
        extents.map { ByteRange(at: $0[0], count: $0[1]) }
    }
}

extension JobRecords {
    /// What the last mount had saved of a member; it is gone from the disk when this returns. Nil
    /// where there is nothing, or nothing that can be believed.
    package func takeMarks(_ job: String, _ member: Int) -> JobExtents? {
        guard let directory else { return nil }
        let name = JobExtents.name(job, member)
        do throws(Errno) {
            guard let bytes = try directory.read(name) else { return nil }
            try directory.remove(name)
            return JobExtents(bytes, job, member)
        } catch {
            return nil
        }
    }

    /// Durable when this returns true. Blocks.
    package func save(_ marks: JobExtents) -> Bool {
        guard let directory else { return false }
        let name = JobExtents.name(marks.job, marks.member)
        return (try? directory.replace(name, with: marks.bytes)) != nil
    }
}
