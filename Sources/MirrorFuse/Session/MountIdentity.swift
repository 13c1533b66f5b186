import MirrorSystem

/// Who runs the daemon, read once.
struct MountIdentity: Sendable {
    let owner = ThreadIdentity.owner
    let group = ThreadIdentity.group
    let groups = ThreadIdentity.groups
    /// Whether operations can be done with the caller's ids.
    let mayChange = ThreadIdentity.mayChange
}
