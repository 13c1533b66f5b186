import MirrorCore
import MirrorSystem
import SystemPackage

/// The second copy of an image: a file in some directory, or a block device. Every call may block for as
/// long as the target likes, so only lanes make them.
///
/// A file is `NAME.partial` until it was in sync once; `NAME.delta` for good where the job copies only
/// what is written from now on (`sync=none`).
final class Twin: Sendable {
    /// What the twin is worth (design, section 10), as its `user.twinfs.state` attribute says it.
    enum State: String { case inconsistent, partial, consistent }

    let place: TargetPlace
    /// The name under which it is being written.
    let workingPath: FilePath
    let isDevice: Bool
    private let descriptor: FileDescriptor
    /// Its directory, for renaming and for making names durable; nil for a device.
    private let directory: FileDescriptor?
    private let unmap: Bool
    /// Which calls a test lets fail; nil outside of tests.
    private let faults: FaultPlan?

    /// Makes or opens the target, locks it, and sets its size. Leaves nothing behind where it fails.
    init(
        _ place: TargetPlace, _ image: FileStatus, named imagePath: FilePath,
        _ parameters: JobParameters,
        faults: FaultPlan? = nil
    ) throws(CommandError) {
        self.place = place
        self.faults = faults
        unmap = parameters.unmap
        if case .device = place.kind {
            isDevice = true
            workingPath = place.path
            descriptor = try Self.openDevice(place.path)
            directory = nil
        } else {
            isDevice = false
            workingPath = place.path.suffixed(parameters.sync == .none ? ".delta" : ".partial")
            (descriptor, directory) = try Self.make(workingPath, place, image, imagePath)
        }
    }

    private static func make(
        _ path: FilePath, _ place: TargetPlace, _ image: FileStatus, _ imagePath: FilePath
    ) throws(CommandError) -> (FileDescriptor, FileDescriptor) {
        var made = MadeThings()
        do throws(Errno) {
            for missing in place.missingDirectories where try missing.makeDirectory() {
                made.directories.append(missing)
            }
            let directory = try FileDescriptor.openBacking(
                path.removingLastComponent(), .readOnly, .directory)
            made.opened.append(directory)
            try removeLeftOver(path, imagePath)
            let file = try FileDescriptor.openBacking(
                path, .readWrite, [.create, .exclusiveCreate])
            made.opened.append(file)
            made.file = path
            try prepare(file, image, imagePath)
            try directory.synchronize()
            return (file, directory)
        } catch {
            made.remove()
            throw .target(path, error)
        }
    }

    /// What a failed start has to take away again.
    private struct MadeThings {
        var directories: [FilePath] = []
        var file: FilePath?
        var opened: [FileDescriptor] = []
        func remove() {
            for descriptor in opened { try? descriptor.close() }
            if let file { try? file.removeFile() }
            for directory in directories.reversed() { try? directory.removeDirectory() }
        }
    }

    /// Gives the target back: descriptor, lock, directory. Nothing else may be called afterwards.
    func close() {
        try? descriptor.close()
        try? directory?.close()
    }

    private static func openDevice(_ path: FilePath) throws(CommandError) -> FileDescriptor {
        do throws(Errno) {
            // O_EXCL on a block device: refused while it is mounted or part of another device.
            let descriptor = try FileDescriptor.openBacking(path, .readWrite, .exclusiveCreate)
            do throws(Errno) {
                try descriptor.lockExclusively()
            } catch {
                try? descriptor.close()
                throw error
            }
            return descriptor
        } catch {
            throw .target(path, error)
        }
    }

    /// Locks a new file and gives it the image's size, owner and mode.
    private static func prepare(
        _ file: FileDescriptor, _ image: FileStatus, _ imagePath: FilePath
    ) throws(Errno) {
        try file.lockExclusively()
        file.adopt(owner: image.owner, group: image.group, mode: image.mode)
        try? file.setAttribute("user.twinfs.state", State.inconsistent.rawValue)
        try? file.setAttribute("user.twinfs.image", shown(imagePath))
        try file.setSize(image.size)
    }

    /// Takes away what an earlier, ended job for the same image left; anything else stays and is an error.
    private static func removeLeftOver(_ path: FilePath, _ imagePath: FilePath) throws(Errno) {
        guard let old = try? FileDescriptor.openBacking(path, .readWrite, .noFollow) else { return }
        defer { try? old.close() }
        try old.lockExclusively()
        guard old.attribute("user.twinfs.image") == shown(imagePath),
            old.attribute("user.twinfs.state") == State.inconsistent.rawValue
        else { throw .fileExists }
        try path.removeFile()
    }
}

extension Twin {
    func write(_ data: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        try faults?.pass(.write)
        try descriptor.writeFully(data, at: offset)
    }

    /// Makes a range read as zero: a hole where `unmap` asks for it and the target can, else written.
    func zero(_ range: ByteRange) throws(Errno) {
        try faults?.pass(.zero)
        let mode: AllocationMode =
            unmap ? [.punchHole, .keepSize] : isDevice ? [.zeroRange, .keepSize] : [.zeroRange]
        do throws(Errno) {
            try descriptor.allocate(mode, at: range.lowerBound, count: range.count)
        } catch .notSupported, .invalidArgument {
            try writeZeroes(range)
        }
    }

    /// Makes what the twin has of a range past the image's end read as zero, without making it longer.
    func clear(_ range: ByteRange) throws(Errno) {
        let end: UInt64
        if case .device(let capacity) = place.kind {
            end = capacity
        } else {
            end = try descriptor.status().size
        }
        let there = range.clamped(below: end)
        if !there.isEmpty { try zero(there) }
    }

    private func writeZeroes(_ range: ByteRange) throws(Errno) {
        let zeroes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 4096)
        zeroes.initializeMemory(as: UInt8.self, repeating: 0)
        defer { zeroes.deallocate() }
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = Int(min(range.upperBound - offset, UInt64(zeroes.count)))
            try descriptor.writeFully(
                UnsafeRawBufferPointer(rebasing: zeroes[..<count]), at: offset)
            offset += UInt64(count)
        }
    }

    /// Gives the twin the image's size. A device only has to be large enough.
    func setSize(_ size: UInt64) throws(Errno) {
        try faults?.pass(.setSize)
        if case .device(let capacity) = place.kind {
            if size > capacity { throw .noSpace }
        } else {
            try descriptor.setSize(size)
        }
    }

    /// Everything written so far is on stable storage when this returns.
    func flush() throws(Errno) {
        try faults?.pass(.flush)
        try descriptor.synchronize()
    }

    /// Gives the twin its name: from here on a file of that name was in sync at least once. The data was
    /// flushed before; the directory is flushed here.
    func publish() throws(Errno) {
        try faults?.pass(.publish)
        guard let directory, workingPath != place.path else { return }
        do throws(Errno) {
            try directory.rename(workingPath.lastComponent!, to: place.path.lastComponent!)
        } catch .noSuchFileOrDirectory where isNamed {
            // An earlier attempt got as far as the rename; the directory may not be durable yet.
        }
        try directory.synchronize()
    }

    /// Whether the final name leads to this very file: an earlier publication got as far as the rename.
    private var isNamed: Bool {
        guard let named = try? place.path.status(), let own = try? descriptor.status() else {
            return false
        }
        return named.identity == own.identity
    }

    /// Writes the list of what a delta holds beside it, as a whole or not at all.
    func saveExtents(_ list: [UInt8]) throws(Errno) {
        let path = workingPath.suffixed(".extents")
        let draft = path.suffixed(".new")
        let file = try FileDescriptor.openBacking(draft, .readWrite, [.create, .truncate])
        defer { try? file.close() }
        var failure: Errno?
        list.withUnsafeBytes { bytes in
            do throws(Errno) { try file.writeFully(bytes, at: 0) } catch { failure = error }
        }
        if let failure { throw failure }
        try file.synchronize()
        try draft.replace(path)
        try directory?.synchronize()
    }

    /// Says in the twin's attributes what it is worth. Filesystems without attributes keep no state.
    func annotate(_ state: State, _ more: [(name: String, value: String)] = []) {
        if isDevice { return }
        try? descriptor.setAttribute("user.twinfs.state", state.rawValue)
        for (name, value) in more { try? descriptor.setAttribute("user.twinfs.\(name)", value) }
    }
}
