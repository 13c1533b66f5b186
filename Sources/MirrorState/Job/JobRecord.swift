import FoundationEssentials
package import MirrorCore
import MirrorSystem
import MirrorTarget
import SystemPackage

/// What is kept of a job, so that it comes back after a restart: the content of `job-UUID.json`
/// (docs/state.md).
///
/// It says how the job was asked for and how far it has come, not what differs: that is in shared
/// memory for the next worker, and in `JobExtents` or the intents for the next mount.
package struct JobRecord: Codable, Sendable {
    /// Names this job, and no other anywhere: 32 hexadecimal digits.
    package let uuid: String
    /// Which mount of the job this is. What the twin's attribute says has to be this or `next`.
    package var generation: Int
    /// While the generation is being raised: the one that the twin may have already.
    package var next: Int?
    /// The job's name, as `NameText` shows it.
    package let id: String
    /// Seconds since 1970.
    package let created: Int
    /// `key=value`, as `NameText` shows it, with what `set` has changed since.
    package var parameters: [String]
    package var members: [Member]

    /// `created` until what the first pass has to copy is marked.
    package var phase: JobMachine.Phase
    package var wasReady = false
    package var paused = false
    /// `soft` or `switch-over`: how the job is to end.
    package var ending: JobMachine.Ending?
    /// `pre-cut` was run, and `post-cut` was not.
    package var frozen = false
    package var verify: VerifyState?
    package var total = 0
    package var copied = 0
    package var zeroes = 0
    /// What the status says of it once it is over, until it is dismissed.
    package var ended: JobReport?

    package struct Member: Codable, Sendable {
        /// Relative to the source directory, as `NameText` shows it.
        package var image: String
        /// Of the image's own file; the device number is believed by the next worker only.
        package let inode: UInt64
        package let device: UInt64
        /// What the twin is; where it is, and a file's name while it is written.
        package let kind: TargetKind
        package let target: String
        package let working: String
        /// Of a twin that is a file.
        package let twin: UInt64?
        /// Bytes of a device.
        package let capacity: UInt64?
        /// Which disk that was. Its name alone says so only where it lasts (`DeviceName`).
        package let disk: DiskNumber?
        /// What the first pass has to do.
        package var firstPass: FirstPass
        /// A flush of the twin has failed, and not everything was written and flushed since: what
        /// it reads as may be in memory only.
        package var lostFlush: Bool?
        /// Bytes of the image when the twin was given its size last.
        package var length: UInt64
    }

    package static let prefix = "job-"
    package static func name(_ uuid: String) -> String { "\(prefix)\(uuid).json" }

    package var bytes: [UInt8] {
        SealedText.seal(JSON.bytes(self, isPretty: true) + [UInt8(ascii: "\n")])
    }
}

extension JobRecord {
    /// Why a file cannot be believed, in words.
    package struct Unreadable: Error { package let reason: String }

    package init(_ bytes: [UInt8], name: String) throws(Unreadable) {
        let body: [UInt8]
        do throws(SealedText.Failure) { body = try SealedText.open(bytes) } catch {
            throw Unreadable(reason: error.words)
        }
        do { self = try JSONDecoder().decode(JobRecord.self, from: Data(body)) } catch {
            throw Unreadable(reason: UnknownWord.words(error))
        }
        if Self.name(uuid) != name {
            throw Unreadable(reason: "it is of another job than its name")
        }
        if let oddity {
            throw Unreadable(reason: "it says what no job can have (\(oddity))")
        }
    }
}

extension JobRecord {
    /// The name as bytes.
    package var name: [UInt8] { NameText.name(shown: id) ?? Array(id.utf8) }

    /// What the job was asked for with.
    package func asked() throws(CommandError) -> JobParameters {
        let pairs = parameters.map { text in
            let bytes = NameText.name(shown: text) ?? Array(text.utf8)
            let end = bytes.firstIndex(of: UInt8(ascii: "=")) ?? bytes.endIndex
            return ParameterPair(key: Array(bytes[..<end]), value: Array(bytes[end...].dropFirst()))
        }
        return try JobParameters(parsing: pairs)
    }

    package static func texts(_ parameters: JobParameters) -> [String] {
        parameters.pairs.map { NameText.shown($0.key + [UInt8(ascii: "=")] + $0.value) }
    }

    /// How the machine goes on.
    package var resumed: JobMachine.Resumed {
        .init(
            phase: phase, wasReady: wasReady, isPaused: paused, ending: ending)
    }

    /// What the attributes of the twins say.
    package var stamp: JobStamp { JobStamp(uuid: uuid, generation: generation) }

    /// The table of a member, as the keeper holds it.
    package func table(_ index: Int) -> String { Self.table(uuid, index) }
    package static func table(_ uuid: String, _ index: Int) -> String { "table-\(uuid)-\(index)" }
    /// The list of what a delta holds.
    package static func written(_ uuid: String, _ index: Int) -> String {
        "table-\(uuid)-\(index)-written"
    }
    /// What was written to the twin since the last flush began, and what that flush is to make
    /// durable.
    package static func unflushed(_ uuid: String, _ index: Int) -> String {
        "table-\(uuid)-\(index)-unflushed"
    }
    package static func flushing(_ uuid: String, _ index: Int) -> String {
        "table-\(uuid)-\(index)-flushing"
    }
}
