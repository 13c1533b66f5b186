import CFuse
import MirrorSystem
import SystemPackage

// Operations on names are done with the ids, the groups and the umask of the process that asked, so
// that the backing filesystem decides as it would without us: who owns what is created,
// set-group-id directories, sticky directories, default access lists.

extension Session {
    /// Runs `body`, which may only make system calls: a thread that somebody starts meanwhile would
    /// keep the caller's ids for good.
    func asCaller<Value>(
        of reply: borrowing Reply, _ body: () throws(Errno) -> Value
    ) throws(Errno) -> Value {
        let caller = fuse_req_ctx(reply.request).pointee
        let isOther = caller.uid != 0 || caller.gid != 0
        let ownsMask = RequestThread.current.ownsMask
        let mask = ownsMask ? ThreadIdentity.setMask(UInt32(caller.umask)) : 0
        defer { if ownsMask { _ = ThreadIdentity.setMask(mask) } }
        guard identity.mayChange, isOther else { return try body() }
        let groups = supplementaryGroups(of: reply)
        groups.withUnsafeBufferPointer {
            ThreadIdentity.assume(user: caller.uid, group: caller.gid, groups: $0)
        }
        defer { identity.groups.withUnsafeBufferPointer { ThreadIdentity.resume(groups: $0) } }
        return try body()
    }

    /// None where the caller has ended meanwhile.
    private func supplementaryGroups(of reply: borrowing Reply) -> [UInt32] {
        let request = reply.request
        var capacity = 32
        while true {
            var count = 0
            let groups = [UInt32](unsafeUninitializedCapacity: capacity) { buffer, used in
                count = Int(fuse_req_getgroups(request, Int32(capacity), buffer.baseAddress))
                used = max(0, min(count, capacity))
            }
            if count <= capacity { return groups }
            capacity = count
        }
    }
}
