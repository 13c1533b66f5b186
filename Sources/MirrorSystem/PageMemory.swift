internal import Glibc

/// Whole pages of zeroed memory, page-aligned, given back at the end of its life. Pages that are
/// never touched cost nothing.
public struct PageMemory: ~Copyable {
    public static let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))

    public let bytes: UnsafeMutableRawBufferPointer

    /// At least `count` bytes. Traps where the address space is used up: nothing works then.
    public init(count: Int) {
        let size = (count + Self.pageSize - 1) / Self.pageSize * Self.pageSize
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let start = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0)
        precondition(start != MAP_FAILED, "mmap failed")
        bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    deinit { munmap(bytes.baseAddress, bytes.count) }
}
