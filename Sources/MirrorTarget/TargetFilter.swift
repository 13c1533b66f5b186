package import SystemPackage

/// What stands between a twin and its store, where somebody has put something there: tests do, to
/// let calls fail or hang. A mount has none.
package protocol TargetFilter: Sendable {
    /// What the twin uses instead of the store that was opened for it.
    func filtered(_ store: any TwinStore) -> any TwinStore

    /// Before a twin that is a file gets its name, which is no call on its store. An error is taken
    /// for the renaming's own.
    func willPublish() throws(Errno)
}
