internal import CLinux
internal import Glibc
public import SystemPackage

public enum Unmounting {
    /// Detaches what is mounted at `mountpoint`, not lazily: `.resourceBusy` while somebody uses
    /// it. As root through `umount2(2)`, otherwise through fusermount3.
    public static func unmount(_ mountpoint: FilePath) throws(Errno) {
        if geteuid() == 0 {
            _ = try retrying { mountpoint.withPlatformString { clinux_unmount($0) } }
        } else if try run(["fusermount3", "-u", "-q", "--", mountpoint.string]) != 0 {
            // The helper's exit code says no more than that it failed.
            throw .resourceBusy
        }
    }

    private static func run(_ words: [String]) throws(Errno) -> Int32 {
        var arguments = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var child = pid_t()
        let failure = posix_spawnp(&child, arguments[0]!, nil, nil, arguments, [nil])
        if failure != 0 { throw Errno(rawValue: failure) }
        var status: Int32 = 0
        _ = try retrying { waitpid(child, &status, 0) }
        return status
    }
}
