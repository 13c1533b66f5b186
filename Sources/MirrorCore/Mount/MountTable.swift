/// The mounts that the kernel tells of in `/proc/self/mountinfo` (proc(5)), in their order.
public struct MountTable: Sendable {
    /// What FUSE calls a mount of ours.
    public static let type = "fuse.twinfs"

    public struct Entry: Hashable, Sendable {
        /// What `mnt_id` in `/proc/PID/fdinfo` says of a file that was opened through this mount.
        public let id: Int
        /// `major:minor`: the same for every mount of one filesystem.
        public let device: String
        /// Which directory of the filesystem is mounted; `/` unless it is a bind mount.
        public let root: [UInt8]
        public let mountpoint: [UInt8]
        public let type: String
        /// For twinfs the source directory.
        public let source: [UInt8]

        public var isTwinfs: Bool { type == MountTable.type }
    }

    public let entries: [Entry]

    /// - Parameter text: the file's content. Lines that cannot be read are left out.
    public init(_ text: [UInt8]) {
        entries = text.split(separator: UInt8(ascii: "\n")).compactMap(Entry.init)
    }

    /// Where an image is to be found: the root of its mount, and its path in there.
    public struct Place: Hashable, Sendable {
        public let mountpoint: [UInt8]
        /// Relative, empty for the mount's root.
        public let path: [UInt8]
    }

    /// The twinfs mount that `path` (absolute, without links) lies in; nil where another filesystem
    /// does, also one mounted over or inside of it. A bind mount leads to the mount that it was
    /// made from.
    public func place(of path: [UInt8]) -> Place? {
        guard let entry = top(at: path), entry.isTwinfs else { return nil }
        let below = Self.rest(of: path, below: entry.mountpoint) ?? []
        if entry.root == Self.slash { return Place(mountpoint: entry.mountpoint, path: below) }
        let whole = entries.last { $0.device == entry.device && $0.root == Self.slash }
        guard let whole else { return nil }
        let root = Array(entry.root.dropFirst())
        return Place(
            mountpoint: whole.mountpoint, path: below.isEmpty ? root : root + Self.slash + below)
    }

    /// The mount that serves `path`: the longest mountpoint, and the last where they lie over each
    /// other.
    public func top(at path: [UInt8]) -> Entry? {
        entries.filter { Self.rest(of: path, below: $0.mountpoint) != nil }
            .enumerated()
            .max {
                ($0.element.mountpoint.count, $0.offset) < ($1.element.mountpoint.count, $1.offset)
            }?
            .element
    }

    /// The mountpoints of every twinfs that is not hidden by another mount.
    public var twinfs: [Entry] {
        entries.filter { $0.isTwinfs && $0.root == Self.slash && top(at: $0.mountpoint) == $0 }
    }

    private static let slash = [UInt8(ascii: "/")]

    /// What is left of `path` below `directory`; nil where it lies elsewhere.
    public static func rest(of path: [UInt8], below directory: [UInt8]) -> [UInt8]? {
        if directory == slash { return Array(path.dropFirst()) }
        guard path.starts(with: directory) else { return nil }
        let rest = path.dropFirst(directory.count)
        if rest.isEmpty { return [] }
        return rest.first == slash[0] ? Array(rest.dropFirst()) : nil
    }
}

extension MountTable.Entry {
    /// `36 35 98:0 /root /mountpoint options [tags…] - type source options`
    init?(_ line: ArraySlice<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " "))
        guard words.count > 5, let dash = words.firstIndex(of: [UInt8(ascii: "-")][...]),
            dash + 2 < words.count, let id = Int(String(decoding: words[0], as: UTF8.self))
        else { return nil }
        self.id = id
        device = String(decoding: words[2], as: UTF8.self)
        root = Self.unescaped(words[3])
        mountpoint = Self.unescaped(words[4])
        type = String(decoding: words[dash + 1], as: UTF8.self)
        source = Self.unescaped(words[dash + 2])
    }

    /// The kernel writes blank, tab, newline and backslash as a backslash and three octal digits.
    private static func unescaped(_ word: ArraySlice<UInt8>) -> [UInt8] {
        var (result, rest) = ([UInt8](), word)
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"),
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                result.append(code)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}
