import MirrorCore
import SystemPackage

// A record with a right checksum may still say what nobody writes: another version did, or a disk
// is damaged in a way that its checksum does not show. What the job would trap on is refused here.

/// Numbers up to which nothing overflows that is added to them.
package enum Plausible {
    static let numbers = 0...(1 << 60)
    static let bytes = UInt64(0)...(1 << 62)

    /// Start and length in bytes, each pair below what a table can hold.
    package static func are(_ extents: [[UInt64]]) -> Bool {
        extents.allSatisfy { extent in
            guard extent.count == 2 else { return false }
            let (end, isOver) = extent[0].addingReportingOverflow(extent[1])
            return !isOver && end <= DirtyTable.limit
        }
    }

    /// The name of a file without a directory, or a part of one.
    package static func isName(_ text: String) -> Bool {
        !text.isEmpty && !text.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
    }

    /// A path to an image, relative to the source directory; empty where it has lost its names.
    package static func isImage(_ text: String) -> Bool {
        isText(text) && !FilePath(shown: text).isAbsolute
    }

    /// An absolute path to a file.
    static func isFile(_ text: String) -> Bool {
        let path = FilePath(shown: text)
        return isText(text) && path.isAbsolute && path.lastComponent != nil
    }

    private static func isText(_ text: String) -> Bool {
        !(NameText.name(shown: text) ?? Array(text.utf8)).contains(0)
    }
}

extension JobRecord {
    /// The first thing that nobody writes; nil where all is plausible.
    var oddity: String? {
        let numbers = [generation, next ?? 0, created, total, copied, zeroes]
        if !numbers.allSatisfy(Plausible.numbers.contains) { return "a number" }
        if members.isEmpty { return "members" }
        if !Plausible.isName(uuid) { return "uuid" }
        if ending == .now { return "ending" }
        if phase.isOver, ended == nil { return "phase" }
        if let ended, !ended.isPlausible { return "ended" }
        return members.lazy.compactMap(\.oddity).first
    }
}

extension JobRecord.Member {
    fileprivate var oddity: String? {
        if !Plausible.isImage(image) { return "image" }
        if !Plausible.bytes.contains(length) { return "length" }
        if !Plausible.bytes.contains(capacity ?? 0) { return "capacity" }
        switch kind {
        case .file, .home, .device:
            if !Plausible.isFile(target) { return "target" }
            return Plausible.isFile(working) ? nil : "working"
        case .export: return target.isEmpty ? "target" : nil
        }
    }
}

extension JobReport {
    /// Whether its numbers are some that a job can have.
    fileprivate var isPlausible: Bool {
        let numbers = [
            granularity, len, offset, totalBytes, copiedBytes, dirtyBytes, inFlightBytes,
            skippedZeroBytes, passes, speed, rate, dirtyRate, errorsSource, errorsTarget, opens,
        ]
        let others = [
            eta, inSyncTime, lastPauseUs, expectedPauseUs, resumedBytes, cutTime, cutGeneration,
            verifiedBytes, mismatchedBytes, repairedBytes, unverifiedBytes,
        ]
        return (numbers + others.compactMap(\.self)).allSatisfy(Plausible.numbers.contains)
    }
}

extension ServingFile {
    /// Whether its records are some that a mount can have written.
    var isPlausible: Bool {
        Plausible.numbers.contains(generation) && records.allSatisfy(\.isPlausible)
    }
}

extension ServingRecord {
    fileprivate var isPlausible: Bool {
        let hasNumbers = [generation, time].allSatisfy(Plausible.numbers.contains)
        guard hasNumbers, Plausible.isImage(image) else { return false }
        guard let twin else { return true }
        return Plausible.isFile(twin.path)
            && [twin.length, twin.capacity].allSatisfy(Plausible.bytes.contains)
    }
}
