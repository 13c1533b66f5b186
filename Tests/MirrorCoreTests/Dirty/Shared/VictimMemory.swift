import Glibc

@testable import MirrorCore

/// Memory that a table lies in, and that can be copied at any instant, as if the process had been
/// killed there.
///
/// `@unchecked Sendable`: nothing of it changes.
final class VictimMemory: @unchecked Sendable {
    private let file: Int32
    private let size: Int
    private let bytes: UnsafeMutableRawBufferPointer

    init(_ granularity: Granularity, size: Int? = nil) {
        var name = Array("/dev/shm/twinfs-XXXXXX".utf8CString)
        file = mkstemp(&name)
        precondition(file >= 0 && unlink(name) == 0)
        self.size = size ?? TableMemory.size(granularity: granularity)
        precondition(ftruncate(file, self.size) == 0)
        bytes = Self.map(file, self.size, MAP_SHARED)
    }

    deinit {
        munmap(bytes.baseAddress, size)
        close(file)
    }

    private static func map(
        _ file: Int32, _ size: Int, _ kind: Int32
    ) -> UnsafeMutableRawBufferPointer {
        let start = mmap(nil, size, PROT_READ | PROT_WRITE, kind | MAP_NORESERVE, file, 0)
        precondition(start != MAP_FAILED)
        return UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    /// For the table that works on it.
    var shared: TableMemory {
        let giveBack: @Sendable (Int, Int) -> Void = { [self] offset, count in
            let how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
            precondition(fallocate(file, how, offset, count) == 0)
        }
        return TableMemory(bytes, giveBack: giveBack) { [self] offset in
            let next = lseek(file, offset, SEEK_DATA)
            return next < 0 ? nil : next
        }
    }

    /// What it holds now; what is done to it reaches no other. Only what is touched is copied.
    var copied: TableMemory {
        let copy = Mapping(Self.map(file, size, MAP_PRIVATE))
        return TableMemory(copy.bytes) { offset, count in
            memset(copy.bytes.baseAddress! + offset, 0, count)
        }
    }

    func flip(byte: Int) { bytes[byte] ^= 0x40 }

    /// Bytes that are in use.
    var used: Int {
        var status = stat()
        precondition(fstat(file, &status) == 0)
        return Int(status.st_blocks) * 512
    }

    private final class Mapping: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer
        init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }
        deinit { munmap(bytes.baseAddress, bytes.count) }
    }
}
