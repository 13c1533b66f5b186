internal import CLinux
internal import Glibc

/// The ids that the calling thread acts with on files. Every other thread keeps its own.
public enum ThreadIdentity {
    /// Whether this process may take on other ids.
    public static var mayChange: Bool { geteuid() == 0 }
    public static var owner: UInt32 { geteuid() }
    public static var group: UInt32 { getegid() }

    /// Takes on the ids of somebody else; gives up what only root may do where `user` is not root.
    public static func assume(user: UInt32, group: UInt32, groups: UnsafeBufferPointer<UInt32>) {
        _ = clinux_set_thread_groups(groups.count, groups.baseAddress)
        clinux_set_thread_fsids(user, group)
    }

    /// Goes back to root and the groups that the process was started with.
    public static func resume(groups: UnsafeBufferPointer<UInt32>) {
        clinux_set_thread_fsids(0, getegid())
        _ = clinux_set_thread_groups(groups.count, groups.baseAddress)
    }

    /// The supplementary groups of the process.
    public static var groups: [UInt32] {
        let count = getgroups(0, nil)
        guard count > 0 else { return [] }
        return [UInt32](unsafeUninitializedCapacity: Int(count)) { buffer, used in
            used = max(0, Int(getgroups(count, buffer.baseAddress)))
        }
    }

    /// Gives the calling thread a umask of its own. Corresponds to `unshare(2)` with CLONE_FS.
    public static func ownMask() -> Bool { clinux_unshare_umask() == 0 }

    /// Corresponds to `umask(2)`; only where `ownMask` succeeded.
    public static func setMask(_ mask: UInt32) -> UInt32 { umask(mask) }
}
