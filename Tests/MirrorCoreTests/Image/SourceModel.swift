import MirrorCore

/// A source directory that exists in memory only, and counts what is asked of it.
final class SourceModel {
    var files: [String: SampleImage]
    var unusable: [String: String] = [:]
    /// Paths that no source directory has: empty, absolute, or with `.` or `..` in them.
    private(set) var strayPaths: [[UInt8]] = []
    private(set) var looks = 0
    private(set) var reads: [[UInt8]: (count: Int, bytes: Int)] = [:]

    init(_ files: [String: SampleImage]) { self.files = files }

    /// The source directory `/src`, mounted at `/mnt/images`.
    var source: ImageClosure.Source {
        .init(
            directories: [Array("/src".utf8), Array("/mnt/images/".utf8)],
            look: { [self] path in
                looks += 1
                note(path)
                let path = String(decoding: path, as: UTF8.self)
                if let words = unusable[path] { return .unusable(words) }
                return files[path] == nil ? .missing : .file
            },
            read: { [self] path, offset, count in
                note(path)
                let (calls, bytes) = reads[path] ?? (0, 0)
                reads[path] = (calls + 1, bytes + count)
                return files[String(decoding: path, as: UTF8.self)]?.read(offset, count)
            })
    }

    private func note(_ path: [UInt8]) {
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        if parts.contains(where: { ["", ".", ".."].contains(String(decoding: $0, as: UTF8.self)) })
        {
            strayPaths.append(path)
        }
    }

    /// The paths of the closure of `image`.
    func members(of image: String) throws(CommandError) -> [String] {
        try ImageClosure(of: Array(image.utf8), in: source).members.map {
            String(decoding: $0.path, as: UTF8.self)
        }
    }

    /// The message of a refusal; nil where there was none.
    func refusal(of image: String) -> String? {
        do throws(CommandError) {
            _ = try members(of: image)
            return nil
        } catch {
            return error.code == .notSupported ? error.message : "code \(error.code)"
        }
    }
}
