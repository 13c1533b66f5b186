package import MirrorCore
package import MirrorSystem
import SystemPackage

/// Whether a write-intent log may be believed by a mount that finds no exact marks. Pure: what it
/// looks at is given.
///
/// The log is right as long as nobody but the mount has changed source and twin. That cannot be
/// seen for sure; what can be seen are inode numbers and times. Repairs of a filesystem after a
/// crash (its journal, fsck) leave the times alone, so a time that nobody but a writer can have set
/// is a reason to compare:
///
/// * same boot (keeper and worker were killed): later than the last heartbeat, or earlier than it
///   says;
/// * another boot: later than this boot's beginning, or much later than the heartbeat on disk.
///
/// What this cannot see is in docs/reliability.md.
package enum Trust {
    package enum Verdict: Equatable, Sendable {
        /// What is not in these ranges is equal.
        case intent([ByteRange])
        /// Everything is to be compared, and why: the end of a sentence.
        case compare(String)
    }

    /// The machine at the remount.
    package struct Now: Sendable {
        var boot: String
        /// Nanoseconds since 1970: now, and when this boot began.
        var time: Int64
        var bootTime: Int64

        static var current: Now {
            Now(boot: Machine.boot, time: Machine.nanoseconds, bootTime: Machine.bootTime)
        }
    }

    /// The heartbeat is written every second while the source changes.
    static let slack: Int64 = 2_000_000_000
    /// It reaches the disk within half a minute and a bit, or with the next commit.
    static let writebackSlack: Int64 = 60_000_000_000

    /// - Parameters:
    ///   - log: what it said before anybody could write; nil where there is none or its head cannot
    ///     be read.
    ///   - source: the file that serves the image; nil for a device.
    ///   - twin: nil for a device or an export, of which nobody can say who wrote it.
    ///   - isVoid: whether source or twin says that its log is void (`VoidLabel`).
    package static func verdict(
        _ log: IntentLog.Found?, source: FileStatus?, twin: FileStatus?, isVoid: Bool,
        now: Now = .current
    ) -> Verdict {
        guard let log else { return .compare("its write-intent log is missing or damaged") }
        if isVoid { return .compare("its write-intent log could not be kept") }
        guard let source, source.kind == .regular else {
            return .compare("its source is no file, so nobody can see who has changed it")
        }
        guard let twin, twin.kind == .regular else {
            return .compare("its target is no file, so nobody can see who has changed it")
        }
        guard let beat = log.beat else {
            return .compare("it is not known when source and twin were last written by the mount")
        }
        if let reason = reason(beat, FileStamp(source), FileStamp(twin), now) {
            return .compare(reason)
        }
        return .intent(ranges(log.intended, source: source.size, twin: twin.size))
    }

    /// Why the files cannot be what they were; nil where nothing speaks against it.
    package static func reason(
        _ beat: Heartbeat, _ source: FileStamp, _ twin: FileStamp, _ now: Now
    ) -> String? {
        guard let oldTwin = beat.twin else { return "its twin was no file before" }
        if now.time + slack < beat.time { return "the clock has gone back" }
        let isSameBoot = beat.boot == now.boot
        for (name, old, new) in [("source", beat.source, source), ("twin", oldTwin, twin)] {
            // Device numbers may change from boot to boot.
            if old.inode != new.inode || isSameBoot && old.device != new.device {
                return "its \(name) is another file now"
            }
            let isChanged =
                isSameBoot
                ? new.latest > beat.time + slack || new.modified < old.modified
                : new.latest > now.bootTime || new.latest > beat.time + writebackSlack
            if isChanged { return "its \(name) was changed behind the mount" }
        }
        return nil
    }

    /// A twin that is shorter than its source lacks what it lacks, whatever the bits say.
    private static func ranges(
        _ intended: [ByteRange], source: UInt64, twin: UInt64
    ) -> [ByteRange] {
        guard twin < source else { return intended }
        return intended.filter { $0.lowerBound < twin } + [ByteRange(twin, source)]
    }
}
