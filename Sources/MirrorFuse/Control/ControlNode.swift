import MirrorEngine
import MirrorSystem
import SystemPackage

/// Node numbers of `.mirror` and what is in it: those with bit 62. Bit 63 is left alone, the kernel
/// uses it elsewhere in its protocol.
enum ControlNumber {
    static let first: UInt64 = 1 << 62

    @inline(__always)
    static func owns(_ node: UInt64) -> Bool { node & first != 0 }
}

/// A file or directory of `.mirror` as the kernel knows it.
final class ControlNode: Sendable {
    let id: UInt64
    let file: ControlFile
    /// Within `.mirror`: names with slashes between them; empty for its root.
    let path: [UInt8]
    /// What the file contains; fixed from the look-up on (R9), so that its size and its bytes
    /// agree. Empty for directories, for `control` and for `events`.
    let content: [UInt8]
    /// Only of `events`, which grows.
    let events: EventView?
    private let made: FileAttributes

    init(
        _ id: UInt64, _ file: ControlFile, _ path: [UInt8], _ engine: Engine,
        _ identity: MountIdentity, eventsFrom start: Int = 0
    ) {
        self.id = id
        self.path = path
        self.file = file
        events = file == .events ? EventView(engine.events, start: start) : nil
        let isWhole = !file.isDirectory && file != .control && file != .events
        content = isWhole ? engine.content(of: file) : []
        made = file.attributes(identity, controlGroup: engine.configuration.controlGroup)
    }

    /// Sizes are exact; times are those of the look-up, because tar takes a new one for a change.
    var attributes: FileAttributes { made.resized(to: events?.end ?? content.count) }
}

extension ControlFile {
    /// The inode number, always the same for one name: FNV-1a of what the file is called.
    var inode: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in String(describing: self).utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return hash >> 1 | ControlNumber.first
    }

    /// Attributes with a size of 0. `control` is writable by the owner and, where there is one, the
    /// group for it; everything may be read by everybody who may use the mount.
    func attributes(_ identity: MountIdentity, controlGroup: UInt32?) -> FileAttributes {
        let isControl = self == .control
        let group = isControl ? controlGroup ?? identity.group : identity.group
        return FileAttributes(
            inode: inode, mode: mode(hasControlGroup: controlGroup != nil), owner: identity.owner,
            group: group, size: 0)
    }

    private func mode(hasControlGroup: Bool) -> UInt32 {
        if isDirectory { return FileAttributes.directoryType | 0o555 }
        if self == .control {
            return FileAttributes.regularType | (hasControlGroup ? 0o660 : 0o600)
        }
        return FileAttributes.regularType | 0o444
    }
}
