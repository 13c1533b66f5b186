import FoundationEssentials
import MirrorCore
import MirrorSystem
import MirrorTarget
import SystemPackage

/// That an image is served from another file than its own: what a switch-over commits
/// (`docs/state.md`).
package struct ServingRecord: Codable, Equatable, Sendable {
    /// Names this switch-over of this image, and no other anywhere: 32 hexadecimal digits.
    let id: String
    /// Switch-overs that the mount has done, this one counted. Members of a group share it.
    let generation: Int
    /// Path relative to the source directory, as `NameText` shows it.
    var image: String
    /// Inode number of the image's own file. Its device is not kept: device numbers change with a
    /// boot.
    let inode: UInt64
    /// The file that serves it; nil where its own file does so again and marks may have to be
    /// undone.
    let twin: Place?
    /// What served it before, if that was not its own file.
    let replaces: Past?
    /// When it was switched, seconds since 1970.
    let time: Int

    /// A twin as it was at the switch-over.
    package struct Place: Codable, Equatable, Sendable {
        /// Absolute, as `NameText` shows it.
        let path: String
        /// Of a file its inode number, of a block device its number.
        let inode: UInt64
        let isDevice: Bool
        /// Bytes that the image had. A device may have more.
        let length: UInt64
        /// Bytes of the device; 0 for a file.
        let capacity: UInt64

        enum CodingKeys: String, CodingKey {
            case path, inode, length, capacity
            case isDevice = "block-device"
        }

        var filePath: FilePath { FilePath(shown: path) }
    }

    /// An earlier record of the same image.
    struct Past: Codable, Equatable, Sendable {
        let id: String
        let twin: String
    }

    var imagePath: FilePath { FilePath(shown: image) }

    /// What the attribute `user.twinfs.serving` of the twin says.
    var servingLabel: String { "\(id) \(generation)" }

    /// What the attribute `user.twinfs.superseded` of the files says that do not serve the image
    /// any more.
    func supersededMark(by place: FilePath) -> SupersededLabel {
        SupersededLabel(id: id, generation: generation, place: shown(place))
    }
}

extension FilePath {
    /// A path from what `NameText` shows of it. A text that it never wrote is taken as it stands.
    package init(shown text: String) {
        self.init(bytes: NameText.name(shown: text) ?? Array(text.utf8))
    }
}

/// The value of `user.twinfs.superseded`: `ID GENERATION PATH`.
package struct SupersededLabel: Equatable, Sendable {
    let id: String
    let generation: Int
    /// Which file took over, as `NameText` shows it.
    let place: String

    init(id: String, generation: Int, place: String) {
        (self.id, self.generation, self.place) = (id, generation, place)
    }

    /// Whatever the attribute holds, the file is superseded: a value that cannot be read names
    /// nobody.
    init(_ value: String) {
        let words = value.split(separator: " ", maxSplits: 2)
        id = words.first.map(String.init) ?? ""
        generation = words.count > 1 ? Int(words[1]) ?? 0 : 0
        place = words.count > 2 ? NameText.harmless(String(words[2])) : "a file that is not named"
    }

    var text: String { "\(id) \(generation) \(place)" }
}

/// The content of `serving.json`.
package struct ServingFile: Codable, Equatable, Sendable {
    static let name = "serving.json"

    var generation = 0
    var records: [ServingRecord] = []

    /// Why the file cannot be believed, in words.
    struct Unreadable: Error, Equatable { let reason: String }

    var bytes: [UInt8] {
        let lines = JSON.bytes(self, isPretty: true)
        return SealedText.seal(lines + [UInt8(ascii: "\n")])
    }

    init() {}

    init(_ bytes: [UInt8]) throws(Unreadable) {
        let body: [UInt8]
        do throws(SealedText.Failure) {
            body = try SealedText.open(bytes)
        } catch {
            throw Unreadable(reason: error.words)
        }
        guard let file = try? JSONDecoder().decode(ServingFile.self, from: Data(body)),
            file.isPlausible
        else { throw Unreadable(reason: "its records cannot be understood") }
        self = file
    }
}
