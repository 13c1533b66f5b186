import MirrorCore
package import MirrorSystem
package import SystemPackage

/// The file that serves an image in place of its own: a twin that was switched to.
package final class Backing: Sendable {
    /// Absolute, without links.
    package let path: FilePath
    /// O_PATH. Pins the file; every open goes through it.
    package let node: FileDescriptor
    package let isDevice: Bool
    /// Bytes that the image has on a device, which may be larger.
    package let length: UInt64
    /// Which file it was when it was opened.
    private let status: FileStatus?

    /// Takes `node` over.
    package init(path: FilePath, node: FileDescriptor, isDevice: Bool, length: UInt64) {
        (self.path, self.node, self.isDevice, self.length) = (path, node, isDevice, length)
        status = try? node.status()
    }

    deinit { try? node.close() }

    /// Past which nothing of the image can be.
    package var limit: UInt64 { isDevice ? length : .max }

    /// Whether a path that has this status leads to it. Makes no system call.
    package func isFile(_ other: FileStatus) -> Bool {
        guard let status, status.kind == other.kind else { return false }
        return isDevice
            ? status.representedDevice == other.representedDevice
            : status.identity == other.identity
    }

    /// The attributes of an image: whose it is and what it may from its own file, how large it is
    /// and when it was changed from the one that serves it.
    package func attributes(over own: FileAttributes) -> FileAttributes {
        if isDevice { return own.resized(to: Int(length)) }
        guard let there = try? node.attributes() else { return own }
        return own.withContent(of: there)
    }
}

extension Backing {
    /// Why a twin cannot serve, in words.
    package struct Unusable: Error { let reason: String }

    /// Opens the twin of a record, and makes sure that it is the one that was switched to.
    package convenience init(_ record: ServingRecord, _ place: ServingRecord.Place) throws(Unusable)
    {
        let path = place.filePath
        let node: FileDescriptor
        do throws(Errno) {
            node = try FileDescriptor.openNode(at: path)
        } catch {
            throw Unusable(reason: "\(error)")
        }
        do throws(Unusable) {
            try Self.check(node, path, record, place)
        } catch {
            try? node.close()
            throw error
        }
        self.init(path: path, node: node, isDevice: place.isDevice, length: place.length)
    }

    private static func check(
        _ node: FileDescriptor, _ path: FilePath, _ record: ServingRecord,
        _ place: ServingRecord.Place
    ) throws(Unusable) {
        guard let status = try? node.status() else { throw Unusable(reason: "cannot be looked at") }
        guard status.kind == (place.isDevice ? .blockDevice : .regular) else {
            throw Unusable(reason: "is not a \(place.isDevice ? "block device" : "file") any more")
        }
        if place.isDevice {
            try checkDevice(path, place)
        } else {
            try checkMarks(node, status, record, place)
        }
    }

    private static func checkDevice(
        _ path: FilePath, _ place: ServingRecord.Place
    ) throws(Unusable) {
        let size: UInt64
        do throws(Errno) {
            let device = try FileDescriptor.openBacking(path, .readOnly)
            defer { try? device.close() }
            size = try device.blockDeviceSize()
        } catch {
            throw Unusable(reason: "\(error)")
        }
        if size != place.capacity {
            throw Unusable(
                reason: "is another device: it has \(size) bytes and had \(place.capacity)")
        }
    }

    private static func checkMarks(
        _ node: FileDescriptor, _ status: FileStatus, _ record: ServingRecord,
        _ place: ServingRecord.Place
    ) throws(Unusable) {
        guard let marks = try? FileLabels(of: node) else {
            throw Unusable(reason: "its attributes cannot be read")
        }
        let inode = status.identity.inode
        let isSameFile = inode == place.inode
        let isKnown = marks.areKept ? marks.serving == record.servingLabel : true
        if isSameFile && isKnown || marks.serving == "\(record.servingLabel) \(inode)" { return }
        // Whoever supersedes a twin takes its other attribute away.
        if let mark = marks.superseded {
            throw Unusable(reason: "is superseded itself, by \(mark.place)")
        }
        throw Unusable(reason: otherFile(record, status))
    }

    private static func otherFile(_ record: ServingRecord, _ status: FileStatus) -> String {
        "is another file than the one that was switched to; put that one back, or accept this one:"
            + " setfattr -n \(TwinAttribute.serving) -v '\(record.servingLabel)"
            + " \(status.identity.inode)' on it"
    }
}
