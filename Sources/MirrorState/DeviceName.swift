import MirrorSystem
package import SystemPackage

/// What a block device is called after the next boot.
package enum DeviceName {
    /// Where udev keeps names that come from the disks themselves.
    private static let directory: FilePath = "/dev/disk/by-id"
    /// Kinds of names, best first: those that nobody can give to two disks.
    private static let kinds = ["dm-uuid-", "wwn-", "nvme-eui.", "nvme-uuid.", "lvm-pv-uuid-", ""]

    /// Whether the name means the same disk after a boot, or after it was connected anew.
    package static func isLasting(_ name: FilePath) -> Bool { name.starts(with: directory) }

    /// A name of the device that lasts; the one given where there is none (loop devices, say).
    ///
    /// - Parameter device: a path without links, like `/dev/dm-3`.
    package static func lasting(_ device: FilePath) -> FilePath {
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

/// Which disk a device was, in this boot.
package struct DiskNumber: Codable, Sendable {
    let boot: String
    /// Nil where the kernel does not count disks.
    package let sequence: UInt64?

    package init(boot: String, sequence: UInt64?) { (self.boot, self.sequence) = (boot, sequence) }

    package init(of device: FileDescriptor) {
        self.init(boot: Machine.boot, sequence: device.diskSequence)
    }

    /// Where the kernel does not count, two disks of one boot cannot be told apart.
    package func isSame(as other: DiskNumber) -> Bool {
        !boot.isEmpty && boot == other.boot && sequence == other.sequence
    }
}
