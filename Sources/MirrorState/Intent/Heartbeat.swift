import Dispatch
import MirrorCore
package import MirrorSystem
import Synchronization
import SystemPackage

/// What tells a file from another, and whether it was changed.
package struct FileStamp: Equatable, Sendable {
    package var device: UInt64
    package var inode: UInt64
    package var size: UInt64
    /// Nanoseconds since 1970.
    package var modified: Int64
    package var changed: Int64

    package init(_ status: FileStatus) {
        (device, inode) = (status.identity.device, status.identity.inode)
        (size, modified, changed) = (status.size, status.modified, status.changed)
    }

    fileprivate init(_ numbers: ArraySlice<Int64>) {
        let numbers = Array(numbers)
        device = UInt64(bitPattern: numbers[0])
        inode = UInt64(bitPattern: numbers[1])
        size = UInt64(bitPattern: numbers[2])
        (modified, changed) = (numbers[3], numbers[4])
    }

    fileprivate var numbers: [Int64] {
        [
            Int64(bitPattern: device), Int64(bitPattern: inode), Int64(bitPattern: size),
            modified, changed,
        ]
    }

    /// When anything of the file was changed last.
    var latest: Int64 { max(modified, changed) }
}

/// Until when the mount is known to have served an image, and what source and twin were like then.
package struct Heartbeat: Equatable, Sendable {
    /// Of the boot: /proc/sys/kernel/random/boot_id.
    var boot: String
    /// Nanoseconds since 1970.
    var time: Int64
    var source: FileStamp
    /// Nil where the twin is no file.
    var twin: FileStamp?

    package init(boot: String, time: Int64, source: FileStamp, twin: FileStamp?) {
        (self.boot, self.time, self.source, self.twin) = (boot, time, source, twin)
    }

    /// As it stands in its block (`IntentFormat`): words between blanks, a newline at the end.
    var bytes: [UInt8] {
        let numbers = [time] + source.numbers + (twin?.numbers ?? [])
        return Array("beat \(boot) \(numbers.map(String.init).joined(separator: " "))\n".utf8)
    }

    /// Nil where this is none.
    init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let words = String(decoding: bytes[..<end], as: UTF8.self).split(separator: " ")
        guard words.count >= 2, words[0] == "beat" else { return nil }
        let numbers = words[2...].compactMap { Int64($0) }
        guard numbers.count == words.count - 2, [6, 11].contains(numbers.count) else { return nil }
        (boot, time) = (String(words[1]), numbers[0])
        source = FileStamp(numbers[1..<6])
        twin = numbers.count == 11 ? FileStamp(numbers[6...]) : nil
    }
}

extension IntentLog {
    /// Notes what source and twin are like now. Not synced: the next commit does that, or the
    /// system.
    package func beat(_ source: FileStamp, _ twin: FileStamp?) {
        stamps.withLock { $0 = (source, twin) }
        beat()
    }

    /// Like `beat(source:twin:)`, if the files cannot be examined now but cannot have changed
    /// either.
    package func beat() {
        queue.async { [self] in
            if !isVoid, !isClosed { try? writeBeat() }
        }
    }

    /// On `queue`. The stamps are those of the last `beat`: a commit does not wait for a target.
    func writeBeat() throws(Errno) {
        guard let (source, twin) = stamps.withLock({ $0 }) else { return }
        let beat = Heartbeat(
            boot: Machine.boot, time: Machine.nanoseconds, source: source, twin: twin)
        try store.write(IntentFormat.sealed(beat.bytes), at: UInt64(IntentFormat.blockSize))
    }
}
