import MirrorSystem
import SystemPackage

/// What a block device is called after the next boot.
enum DeviceName {
    /// Where udev keeps names that come from the disks themselves.
    private static let directory: FilePath = "/dev/disk/by-id"
    /// Kinds of names, best first: those that nobody can give to two disks.
    private static let kinds = ["dm-uuid-", "wwn-", "nvme-eui.", "nvme-uuid.", "lvm-pv-uuid-", ""]

    /// A name of the device that lasts; the one given where there is none (loop devices, say).
    ///
    /// - Parameter device: a path without links, like `/dev/dm-3`.
    static func lasting(_ device: FilePath) -> FilePath {
        guard let holder = try? FileDescriptor.openBacking(directory, .readOnly, .directory) else {
            return device
        }
        defer { try? holder.close() }
        let names = ((try? holder.entryNames()) ?? []).map { directory.appending($0) }
            .filter { (try? $0.resolved()) == device }
            .sorted { $0.string < $1.string }
        for kind in kinds {
            let found = names.first { $0.lastComponent?.string.hasPrefix(kind) == true }
            if let found { return found }
        }
        return device
    }
}
