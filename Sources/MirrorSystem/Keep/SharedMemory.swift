internal import CLinux
internal import Glibc
public import SystemPackage

/// Zeroed memory that can outlive the process: a file without a name (memfd) that is mapped shared.
/// Whoever has its descriptor can map it again and finds what was there. Pages that are never
/// touched cost nothing.
///
/// `@unchecked Sendable`: nothing of the object changes; what is done with the bytes is its user's
/// to order.
public final class SharedMemory: @unchecked Sendable {
    public let bytes: UnsafeMutableRawBufferPointer
    /// Closed with the object; duplicates that others hold keep the memory alive.
    public let descriptor: FileDescriptor

    /// At least `count` bytes, whole pages. Corresponds to `memfd_create(2)`.
    public convenience init(count: Int) throws(Errno) {
        let page = PageMemory.pageSize
        let size = (count + page - 1) / page * page
        let file = FileDescriptor(rawValue: try retrying { clinux_memory_file("twinfs") })
        do throws(Errno) {
            try file.setSize(UInt64(size))
        } catch {
            try? file.close()
            throw error
        }
        try self.init(adopting: file)
    }

    /// What an earlier process had under this descriptor, which is used up. Corresponds to
    /// `mmap(2)`.
    public init(adopting file: FileDescriptor) throws(Errno) {
        do throws(Errno) {
            let size = Int(try file.status().size)
            let flags = MAP_SHARED | MAP_NORESERVE
            let start = mmap(nil, size, PROT_READ | PROT_WRITE, flags, file.rawValue, 0)
            if start == MAP_FAILED { throw Errno(rawValue: errno) }
            bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
            descriptor = file
        } catch {
            try? file.close()
            throw error
        }
    }

    /// Gives whole pages back; they read as zero from here on. Corresponds to `fallocate(2)`.
    public func giveBack(at offset: Int, count: Int) {
        try? descriptor.allocate(
            [.punchHole, .keepSize], at: UInt64(offset), count: UInt64(count))
    }

    /// The first byte from `offset` on that was ever touched, roughly; nil where none was. What
    /// lies before it reads as zero. Corresponds to `lseek(2)` with SEEK_DATA.
    public func nextTouched(from offset: Int) -> Int? {
        // Where it cannot be asked everything may have been.
        do { return try descriptor.nextData(from: UInt64(offset)).map { Int($0) } } catch {
            return offset
        }
    }

    deinit {
        munmap(bytes.baseAddress, bytes.count)
        try? descriptor.close()
    }
}
